"""Envelopes: the structured result that ends a step, and the check of every quote in it.

An envelope is refused as a whole when one of its quotes is not verbatim at the cited place of something that
this run was shown. What the agent claims about itself (its confidence, its status) opens checkpoints and
never avoids one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ledger.canonical import JsonObject
from policies.codes import Denial


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Evidence(_Strict):
    """One quote and where it stands: `policy-14@3:120-188`, or an observation such as `obs-…@1`."""

    source: str = Field(min_length=1, max_length=200)
    quote: str = Field(min_length=1, max_length=4_000)


class ProposedAction(_Strict):
    """The write that the agent proposes: `type` is the tool's name in the execute step."""

    type: str = Field(min_length=1, max_length=128)
    target_id: str | None = Field(default=None, max_length=512)
    arguments: dict[str, Any]


class Envelope(_Strict):
    """What a step concluded (design: Words, envelope)."""

    step: str
    status: Literal["done", "needs_approval", "needs_review", "failed"]
    confidence: Annotated[float, Field(ge=0, le=1)]
    evidence: list[Evidence] = Field(max_length=64)
    proposed_action: ProposedAction | None
    reason: str = Field(min_length=1, max_length=4_000)
    state: dict[str, Any]

    @field_validator("confidence", mode="before")
    @classmethod
    def _whole_numbers_count(cls, value: object) -> object:
        # In JSON 1 and 1.0 are the same number.
        return float(value) if type(value) is int else value


@dataclass(frozen=True, slots=True)
class CheckedEnvelope:
    """An envelope whose quotes were found: `cited` holds their exact provenance ids, in its order."""

    envelope: Envelope
    cited: tuple[str, ...]

    @property
    def failed(self) -> bool:
        """Whether the agent gives the step up."""
        return self.envelope.status == "failed"


def parse_envelope(given: JsonObject) -> Envelope | Denial:
    """The envelope in `given`, or `envelope_refused` naming the first item that is wrong."""
    try:
        return Envelope.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "envelope"
        return refused(where, first["msg"])


def check_quotes(envelope: Envelope, find: Callable[[str, str], str | None]) -> CheckedEnvelope | Denial:
    """Find every quote with `find(source, quote)`, which gives its exact provenance id or None."""
    cited: list[str] = []
    for index, item in enumerate(envelope.evidence):
        found = find(item.source, item.quote)
        if found is None:
            return refused(
                f"evidence.{index}",
                f"the quote is not verbatim at {item.source} in anything that this run was shown",
            )
        cited.append(found)
    return CheckedEnvelope(envelope, tuple(cited))


def refused(item: str, why: str) -> Denial:
    """`envelope_refused`, telling the agent which item and why: both are about its own text."""
    return Denial("envelope_refused", reason=f"{item}: {why}", detail={"item": item, "why": why})
