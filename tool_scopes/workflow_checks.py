"""Checking a workflow's text as a whole: what it says is held against itself and against the catalogue.

A step's kind sets a posture that the file can narrow and never widen, every step can be reached, every tool
stands in the catalogue and gets what it is bound to, and every trouble leads somewhere. The first thing that
is wrong is refused, with its line and a sentence that says what to change.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Protocol

from context_store.provenance import ProvenanceId
from ledger.canonical import JsonObject
from tool_scopes.workflow_model import HUMAN, POSTURES, StepFile, StepKind, WorkflowFile
from tool_scopes.yaml_files import FileRefused, Location


class Refuse(Protocol):
    """Makes the refusal of one place of the file."""

    def __call__(self, location: Location, sentence: str) -> FileRefused:
        """The refusal, with the line of that place."""
        ...


def check_whole(
    file: WorkflowFile, effects: Mapping[str, str], bound: Mapping[str, frozenset[str]], refuse: Refuse
) -> None:
    """Raise the refusal of the first thing in a workflow that is wrong."""
    if HUMAN in file.steps:
        raise refuse(("steps", HUMAN), f"no step can be named {HUMAN}: it is where trouble leads; rename it")
    if file.start not in file.steps:
        raise refuse(("start",), f"start names no step: {file.start}; the steps are {', '.join(file.steps)}")
    if file.subject is not None and file.subject not in _required_names(file.input):
        what = f"subject names {file.subject}, which the input does not require"
        raise refuse(("subject",), f"{what}: name one of its required keys")
    for name in file.steps:
        _check_step(name, file, effects, bound, refuse)
    unreachable = set(file.steps) - _reachable(file)
    if unreachable:
        first = sorted(unreachable)[0]
        raise refuse(
            ("steps", first),
            f"step {first} cannot be reached from {file.start}; name it in a `next` or remove it",
        )
    _check_timeouts(file, refuse)


def _check_step(
    name: str,
    file: WorkflowFile,
    effects: Mapping[str, str],
    bound: Mapping[str, frozenset[str]],
    refuse: Refuse,
) -> None:
    step = file.steps[name]
    for at, successor in enumerate(step.next):
        if successor not in file.steps:
            sentence = f"step {name} goes on to {successor}, which is no step of this workflow"
            raise refuse(("steps", name, "next", at), sentence)
    _check_posture(name, step, effects, refuse)
    _check_bindings(name, file, bound, refuse)
    _check_routes(name, file, refuse)
    _check_context(name, file, refuse)
    _check_carry(name, file, refuse)


def _check_routes(name: str, file: WorkflowFile, refuse: Refuse) -> None:
    """Every trouble leads to a step that there is, and can happen."""
    step = file.steps[name]
    for trouble, target in step.on.steps().items():
        where = ("steps", name, "on", trouble)
        if target not in file.steps:
            raise refuse(
                where, f"on {trouble}, step {name} goes to {target}, which is no step of this workflow"
            )
        if target == name:
            raise refuse(where, f"on {trouble}, step {name} goes to itself; name another step, or {HUMAN}")
        if trouble == "timeout" and step.limits.minutes is None:
            raise refuse(where, f"step {name} has no time limit: say `minutes` in its limits, or remove this")
        if trouble in ("insufficient", "contradictory") and step.context is None:
            raise refuse(where, f"step {name} reads no evidence: give it a context, or remove this")


def _check_timeouts(file: WorkflowFile, refuse: Refuse) -> None:
    """No run is sent around for ever by nothing but the passing of time."""
    for name in file.steps:
        seen = [name]
        while (target := file.steps[seen[-1]].on.timeout) != HUMAN:
            if target in seen:
                around = " to ".join([*seen, target])
                sentence = (
                    f"time alone would lead a run around for ever, from {around}: let one lead to {HUMAN}"
                )
                raise refuse(("steps", seen[-1], "on", "timeout"), sentence)
            seen.append(target)


def _check_context(name: str, file: WorkflowFile, refuse: Refuse) -> None:
    """The need asks for what there can be, and what is pinned is named as evidence is."""
    step = file.steps[name]
    if step.context is None:
        return
    for at, pinned in enumerate(step.context.pinned):
        if ProvenanceId.parse(pinned) is None:
            what = f"step {name} pins {pinned[:80]!r}, which is no provenance id"
            raise refuse(("steps", name, "context", "pinned", at), f"{what}: write SOURCE@VERSION:START-END")
    where = ("steps", name, "context", "need")
    fields = _template_fields(step.context.need)
    if fields is None:
        what = f"the need of step {name} has a brace that stands alone or holds more than a name"
        raise refuse(where, f"{what}: write {{key}}, and {{{{ or }}}} for a brace")
    unknown = fields - _known(file)
    if unknown:
        what = f"the need of step {name} asks for {{{min(unknown)}}}, which nothing provides"
        raise refuse(where, f"{what}: name a key of the input, or of a `carry`")


def _check_carry(name: str, file: WorkflowFile, refuse: Refuse) -> None:
    """A step carries what its output declares."""
    step = file.steps[name]
    declared = _property_names(step.output)
    for at, key in enumerate(step.carry):
        where = ("steps", name, "carry", at)
        if key not in declared:
            raise refuse(where, f"step {name} carries {key}, which its output does not declare")


def _check_bindings(
    name: str, file: WorkflowFile, bound: Mapping[str, frozenset[str]], refuse: Refuse
) -> None:
    """What a tool's arguments are taken from has to be there at some time."""
    for at, tool in enumerate(file.steps[name].tools):
        missing = bound.get(tool, frozenset()) - _known(file)
        if missing:
            what = f"step {name} has the tool {tool}, bound to {min(missing)}, which nothing provides"
            raise refuse(("steps", name, "tools", at), f"{what}: name a key of the input, or of a `carry`")


def _check_posture(name: str, step: StepFile, effects: Mapping[str, str], refuse: Refuse) -> None:
    """A step holds what its kind allows, and nothing that the catalogue does not offer."""
    posture = POSTURES[StepKind(step.kind)]
    counts: dict[str, int] = {}
    for at, tool in enumerate(step.tools):
        where = ("steps", name, "tools", at)
        effect = effects.get(tool)
        if tool in step.tools[:at]:
            raise refuse(where, f"step {name} names a tool twice: {tool}; remove one")
        if effect is None:
            known = ", ".join(sorted(effects)) or "none yet: add an upstream first"
            sentence = (
                f"step {name} names the tool {tool}, which the catalogue does not offer; it offers {known}"
            )
            raise refuse(where, sentence)
        counts[effect] = counts.get(effect, 0) + 1
        if counts[effect] > posture.get(effect, 0):
            what = f"step {name} is of kind {step.kind}, which allows {allowance(StepKind(step.kind))}"
            raise refuse(where, f"{what}; {tool} is a {effect} tool: move it to a step whose kind allows it")


def allowance(kind: StepKind) -> str:
    """What a kind of step may hold at most, in words."""
    posture = POSTURES[kind]
    return ", ".join(f"{most} {name}" if most < 64 else name for name, most in posture.items()) or "no tools"


def _reachable(file: WorkflowFile) -> set[str]:
    found: set[str] = set()
    todo = [file.start]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += [*file.steps[name].next, *file.steps[name].on.steps().values()]
    return found


def _property_names(schema: JsonObject) -> set[str]:
    properties = schema.get("properties")
    return set(properties) if isinstance(properties, dict) else set()


def _required_names(schema: JsonObject) -> set[str]:
    required = schema.get("required")
    return {key for key in required if isinstance(key, str)} if isinstance(required, list) else set()


def _known(file: WorkflowFile) -> set[str]:
    """Every key that a run's state can come to hold."""
    return _property_names(file.input) | {key for step in file.steps.values() for key in step.carry}


def _template_fields(need: str) -> set[str] | None:
    """The keys that a need asks for; None when it is no template of plain `{key}` fields."""
    try:
        parts = list(string.Formatter().parse(need))
    except ValueError:
        return None
    fields = [(field, form, conversion) for _, field, form, conversion in parts if field is not None]
    if any(not field or form or conversion for field, form, conversion in fields):
        return None
    return {field for field, _, _ in fields}
