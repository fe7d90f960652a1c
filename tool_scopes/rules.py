"""The rules of a step as short sentences: what the agent that works in it reads, and what `workflow check`
shows to whoever wrote it.
"""

from __future__ import annotations

from ledger.canonical import JsonValue
from tool_scopes.workflow_model import HUMAN, Trouble
from tool_scopes.workflows import Step, StepKind

KIND_RULES = {
    StepKind.READ: "Only look things up. Nothing you do here changes anything.",
    StepKind.CLASSIFY: "Decide what kind of case this is, from what you read.",
    StepKind.PLAN: "Work out what should be done. Simulate; do not carry anything out.",
    StepKind.DRAFT: "Write down the exact action you propose. You cannot carry it out here.",
    StepKind.EXECUTE: "Carry out the one write, with the approval of exactly that call.",
}
"""What each kind of step asks of an agent, in a sentence."""

EFFECT_RULES = {
    "read": "reads, changes nothing",
    "lookup": "looks up, changes nothing",
    "simulate": "simulates, changes nothing",
    "write": "changes things: needs an approval of exactly this call",
}

_TROUBLE: dict[Trouble, str] = {
    "insufficient": "Evidence that is insufficient",
    "contradictory": "Evidence that is contradictory",
    "denied": "A denial, when you submit the step after it,",
    "unavailable": "What is unavailable for good, when you submit the step as failed,",
    "timeout": "The end of its time",
    "retries_exhausted": "The last refused envelope",
}


def rules_in_words(step: Step) -> list[JsonValue]:
    """The rules of a step, for the agent that works in it."""
    rules: list[JsonValue] = [KIND_RULES[step.kind]]
    if step.needs is not None:
        rules.append(
            "Call read_context for the evidence; quote it word for word, each quote with its provenance id."
        )
    if step.kind is StepKind.DRAFT and step.next:
        rules.append("Put the action into proposed_action, as can_propose says; humans approve it later.")
    ending = f"End the step with submit_step: step={step.name}, with `state` as in output_schema."
    if len(step.next) > 1:
        ending += f" Say which step is `next`: {', '.join(step.next)}."
    rules.append(ending)
    rules += _limits(step)
    rules += _checkpoints(step)
    rules += [f"{_TROUBLE[trouble]} leads to step {target}." for trouble, target in step.on.steps().items()]
    return rules


def _limits(step: Step) -> list[str]:
    limits, said = step.limits, list[str]()
    if limits.calls is not None:
        said.append(f"Call its tools at most {_times(limits.calls)}.")
    if step.kind is StepKind.EXECUTE and limits.executions != 1:
        said.append(f"Carry out at most {limits.executions} writes.")
    if limits.minutes is not None:
        said.append(f"The step has {limits.minutes} minutes.")
    return said


def _checkpoints(step: Step) -> list[str]:
    rules, said = step.checkpoints, list[str]()
    if rules.confidence_below is not None:
        said.append(f"A confidence below {rules.confidence_below:g} brings in a human.")
    kinds = [kind for kind in rules.evidence if kind == "stale" or step.on.of(kind) == HUMAN]
    if kinds and step.needs is not None:
        said.append(f"Evidence that is {' or '.join(kinds)} brings in a human.")
    if rules.bundle_above is not None:
        said.append(f"A bundle of more than {rules.bundle_above} tokens brings in a human.")
    if rules.sensitive_action:
        said.append("A sensitive proposed action brings in a human.")
    return said


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
