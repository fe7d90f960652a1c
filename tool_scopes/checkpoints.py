"""Checkpoints: the rules that stop a run for a human. Pure: facts in, reasons out.

No rule here can be satisfied by a claim: an agent that says it is sure is still stopped by contradictory
evidence.
"""

from __future__ import annotations

from collections.abc import Iterable

from tool_scopes.envelopes import Envelope
from tool_scopes.workflows import Step


def reasons_to_stop(
    step: Step, envelope: Envelope, sufficiencies: Iterable[str], *, sensitive: bool
) -> tuple[str, ...]:
    """Why a human must look before the run moves on from `step`; empty when nobody must.

    `sufficiencies` are those of the bundles that the step was shown; `sensitive` says whether the proposed
    action is marked so in the catalogue. The texts are shown to reviewers.
    """
    rules = step.checkpoints
    reasons: list[str] = []
    if rules.confidence_below is not None and envelope.confidence < rules.confidence_below:
        reasons.append(f"confidence {envelope.confidence:g} is below {rules.confidence_below:g}")
    if envelope.status == "needs_review":
        reasons.append("the agent asks for a review")
    for sufficiency in sorted(set(sufficiencies) & set(rules.evidence)):
        reasons.append(f"the evidence shown is {sufficiency}")
    if rules.sensitive_action and sensitive:
        reasons.append("the proposed action is sensitive")
    return tuple(reasons)


def retries_exhausted(step: Step, retries: int) -> bool:
    """Whether the refused envelopes of this step are as many as its limit allows."""
    return retries >= step.limits.retries
