"""A workflow as its file says it: the keys that there are, and the values that they may have."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,62}$"
"""What a workflow, a step, a collection or a label can be named."""

Name = Annotated[str, Field(pattern=NAME_PATTERN)]


class StepKind(StrEnum):
    """The five kinds of step; each has a default tool posture."""

    READ = "read"
    CLASSIFY = "classify"
    PLAN = "plan"
    DRAFT = "draft"
    EXECUTE = "execute"


POSTURES: Mapping[StepKind, Mapping[str, int]] = MappingProxyType(
    {
        # kind → effect → how many tools of that effect a step may hold; what is absent is zero.
        StepKind.READ: {"read": 64},
        StepKind.CLASSIFY: {"read": 64, "lookup": 1},
        StepKind.PLAN: {"read": 64, "simulate": 64},
        StepKind.DRAFT: {},
        StepKind.EXECUTE: {"write": 1},
    }
)
"""What a step kind allows at most. A workflow can narrow it and never widen it (design: Words, step kind)."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class StepContext(_Strict):
    """What evidence a step may see."""

    collections: list[Name] = Field(default_factory=list[str])
    labels: list[Name] = Field(default_factory=list[str])
    pinned: list[str] = Field(default_factory=list[str])
    need: str = Field(min_length=1)
    budget: int = Field(default=800, ge=50, le=20_000)


class Checkpoints(_Strict):
    """When a step stops for a human. What an agent claims can open a checkpoint, never avoid one."""

    confidence_below: float | None = Field(default=None, ge=0, le=1)
    evidence: list[Literal["contradictory", "insufficient", "stale"]] = Field(
        default_factory=lambda: ["contradictory", "insufficient"]
    )
    sensitive_action: bool = False
    bundle_above: int | None = Field(default=None, ge=1, le=20_000)
    repeated_retries: int | None = Field(default=None, ge=1, le=10_000)

    @field_validator("confidence_below", mode="before")
    @classmethod
    def _whole_numbers_count(cls, value: object) -> object:
        return float(value) if type(value) is int else value


class Limits(_Strict):
    """How much a step may do. Without `calls` or `minutes` nobody counts them."""

    executions: int = Field(default=1, ge=0, le=100)
    retries: int = Field(default=3, ge=0, le=100)
    calls: int | None = Field(default=None, ge=0, le=10_000)
    minutes: int | None = Field(default=None, ge=1, le=525_600)
    approvals: int = Field(default=1, ge=1, le=9)
    approval_minutes: int = Field(default=60, ge=1, le=10_080)


HUMAN = "human"
"""Where trouble leads unless a step says otherwise; no step can have this name."""

Trouble = Literal["insufficient", "contradictory", "denied", "unavailable", "timeout", "retries_exhausted"]
"""What can stand in the way of a step."""


class Routes(_Strict):
    """Where each kind of trouble leads: to another step, or to a human."""

    insufficient: Name = HUMAN
    contradictory: Name = HUMAN
    denied: Name = HUMAN
    unavailable: Name = HUMAN
    timeout: Name = HUMAN
    retries_exhausted: Name = HUMAN

    def of(self, trouble: Trouble) -> str:
        """The step that this trouble leads to, or `human`."""
        return str(getattr(self, trouble))

    def steps(self) -> dict[Trouble, str]:
        """Every trouble that leads to a step, in a fixed order."""
        return {trouble: self.of(trouble) for trouble in TROUBLES if self.of(trouble) != HUMAN}


TROUBLES: tuple[Trouble, ...] = get_args(Trouble)


class StepFile(_Strict):
    """One step as the file says it."""

    kind: Literal["read", "classify", "plan", "draft", "execute"]
    purpose: str = Field(min_length=1)
    context: StepContext | None = None
    tools: list[str] = Field(default_factory=list[str])
    output: dict[str, Any] = Field(default_factory=lambda: {"type": "object"})
    carry: list[str] = Field(default_factory=list[str])
    checkpoints: Checkpoints = Checkpoints()
    limits: Limits = Limits()
    on: Routes = Routes()
    next: list[Name] = Field(default_factory=list[str])


class WorkflowFile(_Strict):
    """A workflow as the file says it."""

    workflow: Name
    version: int = Field(ge=1)
    purpose: str = Field(min_length=1)
    input: dict[str, Any]
    subject: str | None = None
    start: Name
    steps: dict[Name, StepFile] = Field(min_length=1)
