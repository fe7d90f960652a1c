"""Workflows: what each step is for, what it may see and use, and when a human must look.

A workflow is one YAML file with a version. What it says is validated as a whole when it is loaded: a step's
kind sets a posture that the file can narrow and never widen, every step can be reached, and every tool stands
in the catalogue.
"""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

import jsonschema_rs

from ledger.canonical import JsonObject, text_digest
from tool_scopes.workflow_model import Checkpoints, Limits, StepContext, StepFile, WorkflowFile
from tool_scopes.yaml_files import FileRefused, Location, line_in, parse_yaml


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


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a loaded workflow."""

    name: str
    kind: StepKind
    purpose: str
    needs: StepContext | None
    tools: tuple[str, ...]
    output: JsonObject
    output_validator: jsonschema_rs.Validator
    carry: tuple[str, ...]
    checkpoints: Checkpoints
    limits: Limits
    next: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Workflow:
    """A loaded workflow. `digest` is over the file's text: it is what a run keeps and what an approval is
    bound to.
    """

    name: str
    version: int
    purpose: str
    digest: str
    source: str
    input: JsonObject
    input_validator: jsonschema_rs.Validator
    start: str
    steps: Mapping[str, Step]


class _Refuse(Protocol):
    """Makes the refusal of one place of the file."""

    def __call__(self, location: Location, sentence: str) -> FileRefused: ...


def parse_workflow(source: str, *, path: str, effects: Mapping[str, str]) -> Workflow:
    """The workflow of one file's text.

    `effects` maps every tool view that the catalogue offers to its effect; `path` is only for messages.
    Raises FileRefused with the file, the line and what to change.
    """
    file = parse_yaml(source, WorkflowFile, path=path)

    def refuse(location: Location, sentence: str) -> FileRefused:
        return FileRefused(f"{path}:{line_in(source, location)}: {sentence}")

    if file.start not in file.steps:
        raise refuse(("start",), f"start names no step: {file.start}; the steps are {', '.join(file.steps)}")
    known = _property_names(file.input) | {key for step in file.steps.values() for key in step.carry}
    steps = {name: _checked_step(name, file, effects, known, refuse) for name in file.steps}
    unreachable = set(steps) - _reachable(file)
    if unreachable:
        first = sorted(unreachable)[0]
        raise refuse(
            ("steps", first),
            f"step {first} cannot be reached from {file.start}; name it in a `next` or remove it",
        )
    return Workflow(
        name=file.workflow,
        version=file.version,
        purpose=file.purpose,
        digest=text_digest(source),
        source=source,
        input=file.input,
        input_validator=_validator(file.input, lambda s: refuse(("input",), s)),
        start=file.start,
        steps=MappingProxyType(steps),
    )


def _checked_step(
    name: str, file: WorkflowFile, effects: Mapping[str, str], known: set[str], refuse: _Refuse
) -> Step:
    """One step, once everything that it says has been held against the workflow and the catalogue."""
    step = file.steps[name]

    def refuse_at(key: str, sentence: str) -> FileRefused:
        return refuse(("steps", name, key), sentence)

    for successor in step.next:
        if successor not in file.steps:
            raise refuse_at("next", f"step {name} goes on to {successor}, which is no step of this workflow")
    _check_posture(name, step, effects, lambda sentence: refuse_at("tools", sentence))
    fields = _template_fields(step)
    if fields is None:
        what = f"the need of step {name} has a brace that stands alone or holds more than a name"
        raise refuse(
            ("steps", name, "context", "need"), f"{what}: write {{key}}, and {{{{ or }}}} for a brace"
        )
    unknown = fields - known
    if unknown:
        what = f"the need of step {name} asks for {{{min(unknown)}}}, which nothing provides"
        raise refuse(("steps", name, "context", "need"), f"{what}: name a key of the input, or of a `carry`")
    undeclared = next((key for key in step.carry if key not in _property_names(step.output)), None)
    if undeclared is not None:
        raise refuse_at("carry", f"step {name} carries {undeclared}, which its output does not declare")
    return Step(
        name=name,
        kind=StepKind(step.kind),
        purpose=step.purpose,
        needs=step.context,
        tools=tuple(step.tools),
        output=step.output,
        output_validator=_validator(step.output, lambda sentence: refuse_at("output", sentence)),
        carry=tuple(step.carry),
        checkpoints=step.checkpoints,
        limits=step.limits,
        next=tuple(step.next),
    )


def fill_need(template: str, state: JsonObject) -> str:
    """The need of a step: its template with the run's state filled in. A value that is no text is written as
    JSON.
    """
    values = {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in state.items()
    }
    return string.Formatter().vformat(template, (), _Absent(values))


class _Absent(dict[str, str]):
    """A field that the state does not hold yet is left out of the need instead of failing the step."""

    def __missing__(self, key: str) -> str:
        return ""


def _check_posture(
    name: str, step: StepFile, effects: Mapping[str, str], refuse: Callable[[str], FileRefused]
) -> None:
    posture = POSTURES[StepKind(step.kind)]
    counts: dict[str, int] = {}
    if len(set(step.tools)) != len(step.tools):
        raise refuse(f"step {name} names a tool twice")
    for tool in step.tools:
        effect = effects.get(tool)
        if effect is None:
            known = ", ".join(sorted(effects)) or "none yet: add an upstream first"
            raise refuse(
                f"step {name} names the tool {tool}, which the catalogue does not offer; it offers {known}"
            )
        counts[effect] = counts.get(effect, 0) + 1
        if counts[effect] > posture.get(effect, 0):
            allowed = (
                ", ".join(f"{most} {kind}" if most < 64 else kind for kind, most in posture.items())
                or "no tools"
            )
            raise refuse(
                f"step {name} is of kind {step.kind}, which allows {allowed}; {tool} is a {effect} tool: "
                f"move it to a step whose kind allows it"
            )


def _reachable(file: WorkflowFile) -> set[str]:
    found: set[str] = set()
    todo = [file.start]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += file.steps[name].next
    return found


def _property_names(schema: JsonObject) -> set[str]:
    properties = schema.get("properties")
    return set(properties) if isinstance(properties, dict) else set()


def _template_fields(step: StepFile) -> set[str] | None:
    """The keys that a step's need asks for; None when it is no template of plain `{key}` fields."""
    if step.context is None:
        return set()
    try:
        parts = list(string.Formatter().parse(step.context.need))
    except ValueError:
        return None
    fields = [(field, form, conversion) for _, field, form, conversion in parts if field is not None]
    if any(not field or form or conversion for field, form, conversion in fields):
        return None
    return {field for field, _, _ in fields}


def _validator(schema: JsonObject, refuse: Callable[[str], FileRefused]) -> jsonschema_rs.Validator:
    try:
        return jsonschema_rs.Draft202012Validator(schema, offline=True)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise refuse(f"this is no valid JSON Schema (2020-12): {str(error).splitlines()[0]}") from None
