"""Checkpoints: the rules that stop a run for a human. Pure: facts in, reasons out.

No rule here can be satisfied by a claim: an agent that says it is sure is still stopped by contradictory
evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tool_scopes.envelopes import Envelope
from tool_scopes.workflow_model import HUMAN, Trouble
from tool_scopes.workflows import Step


@dataclass(frozen=True, slots=True)
class StepFacts:
    """What the ledger knows of a step that is being left.

    `shown` are the sufficiencies of its bundles and `bundle_tokens` the size of the largest; `sensitive`
    says that the catalogue marks the proposed action so; `retries` counts refused envelopes about the same
    subject, over all runs of the principal; `denied` and `unavailable` say what the step met.
    """

    shown: frozenset[str] = frozenset()
    bundle_tokens: int = 0
    sensitive: bool = False
    retries: int = 0
    denied: str | None = None
    unavailable: str | None = None

    def troubles(self) -> Mapping[Trouble, str]:
        """What stood in the way of the step, and why, the gravest first."""
        found: dict[Trouble, str] = {}
        if self.denied is not None:
            found["denied"] = self.denied
        if self.unavailable is not None:
            found["unavailable"] = self.unavailable
        if "contradictory" in self.shown:
            found["contradictory"] = "the evidence shown is contradictory"
        if "insufficient" in self.shown:
            found["insufficient"] = "the evidence shown is insufficient"
        return found


@dataclass(frozen=True, slots=True)
class Halt:
    """Why a human must look, as reviewers are shown it; or else where trouble leads the run, and which."""

    reasons: tuple[str, ...] = ()
    away: tuple[Trouble, str] | None = field(default=None)


def halt(step: Step, envelope: Envelope, facts: StepFacts) -> Halt:
    """Whether the run may go on from `step` as it wants to. A human comes before any other way."""
    rules = step.checkpoints
    reasons: list[str] = []
    away: tuple[Trouble, str] | None = None
    if rules.confidence_below is not None and envelope.confidence < rules.confidence_below:
        reasons.append(f"confidence {envelope.confidence:g} is below {rules.confidence_below:g}")
    if envelope.status == "needs_review":
        reasons.append("the agent asks for a review")
    for trouble, why in facts.troubles().items():
        if step.on.of(trouble) != HUMAN:
            away = away or (trouble, why)
        elif trouble not in ("contradictory", "insufficient") or trouble in rules.evidence:
            reasons.append(why)
    if "stale" in facts.shown and "stale" in rules.evidence:
        reasons.append("the evidence shown is stale")
    if rules.sensitive_action and facts.sensitive:
        reasons.append("the proposed action is sensitive")
    if rules.bundle_above is not None and facts.bundle_tokens > rules.bundle_above:
        reasons.append(f"a bundle of {facts.bundle_tokens} tokens is above {rules.bundle_above}")
    if facts.retries >= most_retries(step):
        reasons.append(repeated(facts.retries))
    return Halt(tuple(reasons), None if reasons else away)


def retries_exhausted(step: Step, retries: int) -> bool:
    """Whether the refused envelopes of this step are as many as its limit allows."""
    return retries >= step.limits.retries


def most_retries(step: Step) -> int:
    """How many refused envelopes about one subject bring in a human, over all runs of one principal."""
    asked = step.checkpoints.repeated_retries
    return max(1, 3 * step.limits.retries) if asked is None else asked


def repeated(retries: int) -> str:
    """What a reviewer reads of them."""
    return f"{retries} envelopes of this agent about this subject were refused, over all its runs"
