"""Whether one set of workflows lowers the gate against another: a step that stops for a human less often,
does more before it stops, may use a tool or see a label that it could not, or is reached past a step that
always came first.

A step that is new is held to the steps that had its tools before, so that a looser copy under another name is
no way around.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import cast

from ledger.canonical import text_digest
from policies.gate_state import digest_of_workflows
from tool_scopes.workflow_model import StepFile, WorkflowFile
from tool_scopes.workflows import Workflow
from tool_scopes.yaml_files import FileRefused, parse_yaml


def workflows_in_force(workflows: Mapping[str, Workflow]) -> str:
    """The workflows' texts by name, as the ledger keeps them."""
    return json.dumps({name: workflow.source for name, workflow in workflows.items()}, sort_keys=True)


def digest_of_kept(text: str) -> str:
    """The digest by which the gate knows workflows that are kept as this text."""
    return digest_of_workflows({name: text_digest(source) for name, source in _sources(text).items()})


def loosened(before: str | None, after: str) -> tuple[str, ...]:
    """How `after` lowers the gate against `before`, as sentences; empty when it does not.

    Both as `workflows_in_force` writes them; without a `before` that can be read, everything might be.
    """
    if before is None:
        return ("what the workflows in force say is not known",)
    try:
        old = _read(before)
    except FileRefused:
        return ("the workflows in force cannot be read by this version",)
    return tuple(
        f"step {step} of {name} {', '.join(ways)}"
        for name, workflow in sorted(_read(after).items())
        for step in workflow.steps
        if (ways := _looser(step, workflow, old.get(name), old))
    )


def _looser(
    name: str, workflow: WorkflowFile, before: WorkflowFile | None, old: Mapping[str, WorkflowFile]
) -> list[str]:
    step = workflow.steps[name]
    was = None if before is None else before.steps.get(name)
    if before is not None and was is not None:
        return [*_ways(was, step), *_widened(was, step), *_passed_by(name, before, workflow)]
    others = [other for one in old.values() for other in one.steps.values() if {*other.tools} & {*step.tools}]
    found = [list(_ways(other, step)) for other in others]
    return [way for way in found[0] if all(way in ways for ways in found)] if found else []


def _ways(old: StepFile, new: StepFile) -> Iterator[str]:
    """How a step stops for a human less often, or later, each as the end of a sentence."""
    least, now = old.checkpoints.confidence_below, new.checkpoints.confidence_below
    if least is not None and (now is None or now < least):
        yield "no longer stops at the same confidence"
    for state in sorted({*old.checkpoints.evidence} - {*new.checkpoints.evidence}):
        yield f"no longer stops at {state} evidence"
    if old.checkpoints.sensitive_action and not new.checkpoints.sensitive_action:
        yield "no longer stops before a sensitive action"
    if new.limits.executions > old.limits.executions:
        yield "allows more executions"
    if new.limits.retries > old.limits.retries:
        yield "allows more retries"
    if new.limits.approvals < old.limits.approvals:
        yield "needs fewer approvals"
    if new.limits.approval_minutes > old.limits.approval_minutes:
        yield "lets an approval live longer"
    yield from _bounds(old, new)
    for trouble in sorted(new.on.steps().keys() - old.on.steps().keys()):
        yield f"no longer brings in a human on {trouble}"


def _bounds(old: StepFile, new: StepFile) -> Iterator[str]:
    """Limits and checkpoints that need not be said; without one there is none."""
    for was, now, way in (
        (old.limits.calls, new.limits.calls, "allows more calls"),
        (old.limits.minutes, new.limits.minutes, "has more time"),
        (old.checkpoints.bundle_above, new.checkpoints.bundle_above, "no longer stops at as small a bundle"),
    ):
        if was is not None and (now is None or now > was):
            yield way
    asked = {old.checkpoints.repeated_retries, new.checkpoints.repeated_retries} != {None}
    if asked and _most_retries(new) > _most_retries(old):
        yield "stops later for repeated retries"


def _most_retries(step: StepFile) -> int:
    asked = step.checkpoints.repeated_retries
    return max(1, 3 * step.limits.retries) if asked is None else asked


def _widened(old: StepFile, new: StepFile) -> Iterator[str]:
    for tool in sorted({*new.tools} - {*old.tools}):
        yield f"may use {tool}"
    for label in sorted(_labels(new) - _labels(old)):
        yield f"may be shown what is labelled {label}"


def _passed_by(name: str, old: WorkflowFile, new: WorkflowFile) -> Iterator[str]:
    """The steps that always came before this one and need not any more; of no matter without tools."""
    if new.steps[name].tools:
        for step in sorted(_always_before(name, old) - _always_before(name, new)):
            yield f"is reached past {step}"


def _always_before(name: str, workflow: WorkflowFile) -> set[str]:
    """The steps without which there is no way to this one."""
    return {other for other in workflow.steps if other != name and not _is_reached(name, workflow, other)}


def _is_reached(name: str, workflow: WorkflowFile, without: str) -> bool:
    seen, todo = {without}, [workflow.start]
    while todo:
        step = todo.pop()
        if step not in seen:
            seen.add(step)
            todo += [*workflow.steps[step].next, *workflow.steps[step].on.steps().values()]
    return name in seen


def _labels(step: StepFile) -> set[str]:
    return set() if step.context is None else {*step.context.labels}


def _read(text: str) -> dict[str, WorkflowFile]:
    return {name: parse_yaml(source, WorkflowFile, path=name) for name, source in _sources(text).items()}


def _sources(text: str) -> dict[str, str]:
    return cast("dict[str, str]", json.loads(text))
