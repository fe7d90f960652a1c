"""Workflows: what each step is for, what it may see and use, and when a human must look.

A workflow is one YAML file with a version; `workflow_checks` validates it as a whole when it is loaded. A
step's kind sets a posture that the file can narrow and never widen.
"""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import jsonschema_rs

from ledger.canonical import JsonObject, text_digest
from tool_scopes.workflow_checks import Refuse, check_whole
from tool_scopes.workflow_model import (
    POSTURES,
    Checkpoints,
    Limits,
    Routes,
    StepContext,
    StepFile,
    StepKind,
    WorkflowFile,
)
from tool_scopes.yaml_files import FileRefused, Location, line_in, parse_yaml

__all__ = ["POSTURES", "Step", "StepKind", "Workflow", "fill_need", "parse_workflow"]

_UNBOUND: Mapping[str, frozenset[str]] = MappingProxyType({})


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
    on: Routes
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
    subject: str | None
    """The key of the input that says what a run is about; without one its whole input does."""
    input: JsonObject
    input_validator: jsonschema_rs.Validator
    start: str
    steps: Mapping[str, Step]


def parse_workflow(
    source: str, *, path: str, effects: Mapping[str, str], bound: Mapping[str, frozenset[str]] = _UNBOUND
) -> Workflow:
    """The workflow of one file's text.

    `effects` maps every tool view that the catalogue offers to its effect, `bound` to the keys of a run's
    state that its arguments are taken from; `path` is only for messages. Raises FileRefused with the file,
    the line and what to change.
    """
    file = parse_yaml(source, WorkflowFile, path=path)

    def refuse(location: Location, sentence: str) -> FileRefused:
        return FileRefused(f"{path}:{line_in(source, location)}: {sentence}")

    check_whole(file, effects, bound, refuse)
    return Workflow(
        name=file.workflow,
        version=file.version,
        purpose=file.purpose,
        digest=text_digest(source),
        source=source,
        subject=file.subject,
        input=file.input,
        input_validator=_validator(file.input, lambda s: refuse(("input",), s)),
        start=file.start,
        steps=MappingProxyType({name: _step(name, step, refuse) for name, step in file.steps.items()}),
    )


def _step(name: str, step: StepFile, refuse: Refuse) -> Step:
    return Step(
        name=name,
        kind=StepKind(step.kind),
        purpose=step.purpose,
        needs=step.context,
        tools=tuple(step.tools),
        output=step.output,
        output_validator=_validator(step.output, lambda s: refuse(("steps", name, "output"), s)),
        carry=tuple(step.carry),
        checkpoints=step.checkpoints,
        limits=step.limits,
        on=step.on,
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


def _validator(schema: JsonObject, refuse: Callable[[str], FileRefused]) -> jsonschema_rs.Validator:
    try:
        return jsonschema_rs.Draft202012Validator(schema, offline=True)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise refuse(f"this is no valid JSON Schema (2020-12): {str(error).splitlines()[0]}") from None
