"""A workflow as its file says it: the keys that there are, and the values that they may have."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


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

    @field_validator("confidence_below", mode="before")
    @classmethod
    def _whole_numbers_count(cls, value: object) -> object:
        return float(value) if type(value) is int else value


class Limits(_Strict):
    """How much a step may do before it stops for a human."""

    executions: int = Field(default=1, ge=0, le=100)
    retries: int = Field(default=3, ge=0, le=100)
    approvals: int = Field(default=1, ge=1, le=9)
    approval_minutes: int = Field(default=60, ge=1, le=10_080)


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
    next: list[Name] = Field(default_factory=list[str])


class WorkflowFile(_Strict):
    """A workflow as the file says it."""

    workflow: Name
    version: int = Field(ge=1)
    purpose: str = Field(min_length=1)
    input: dict[str, Any]
    start: Name
    steps: dict[Name, StepFile] = Field(min_length=1)
