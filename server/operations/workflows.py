"""The workflows as operations: what there is, and what each step may do. Checking a file needs no
operation.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from ledger.canonical import JsonObject, JsonValue
from policies.principals import Person
from policies.taking import Part
from server.data_folder import DataFolder
from server.errors import BadInput
from server.operations.agreeing import agreeing
from server.operations.operation import Arguments, NoArguments, Operation, OperationDesk
from server.taking_files import flows_of
from tool_scopes.catalogue_files import load_catalogue
from tool_scopes.rules import rules_in_words
from tool_scopes.workflow_drawing import as_mermaid, in_terminal
from tool_scopes.workflow_files import load_workflows
from tool_scopes.workflows import Step, Workflow


class OneWorkflow(Arguments):
    """A workflow by its name."""

    workflow: str = Field(max_length=64)


def workflow_as_json(workflow: Workflow) -> JsonObject:
    """A workflow and its steps, with the rules of each in words."""
    return {
        "workflow": workflow.name,
        "version": workflow.version,
        "purpose": workflow.purpose,
        "digest": workflow.digest,
        "start": workflow.start,
        "subject": workflow.subject,
        "input": workflow.input,
        "steps": [_step(step) for step in workflow.steps.values()],
        "drawing": "\n".join(in_terminal(workflow)),
        "mermaid": "\n".join(as_mermaid(workflow)),
    }


def _workflows(desk: OperationDesk) -> Mapping[str, Workflow]:
    """Those that a running server goes by; else those of the files."""
    if desk.open_house is not None:
        return desk.open_house.workflows
    catalogue = load_catalogue(desk.folder.catalogue_dir)
    return load_workflows(desk.folder.workflows_dir, catalogue)


def _part(folder: DataFolder) -> Part:
    return flows_of(load_workflows(folder.workflows_dir, load_catalogue(folder.catalogue_dir)))


def _list(desk: OperationDesk, _person: Person, _given: NoArguments) -> JsonObject:
    return {
        "workflows": [
            {
                "workflow": workflow.name,
                "version": workflow.version,
                "purpose": workflow.purpose,
                "steps": list[JsonValue](workflow.steps),
            }
            for workflow in _workflows(desk).values()
        ]
    }


def workflow_named(desk: OperationDesk, name: str) -> Workflow:
    """The workflow of that name, as agents can open it; `BadInput` when there is none."""
    workflow = _workflows(desk).get(name)
    if workflow is None:
        raise BadInput(f"There is no workflow {name}; `bailiwick workflow list` shows those that there are.")
    return workflow


def _show(desk: OperationDesk, _person: Person, given: OneWorkflow) -> JsonObject:
    return workflow_as_json(workflow_named(desk, given.workflow))


def _step(step: Step) -> JsonObject:
    needs = step.needs
    return {
        "step": step.name,
        "kind": step.kind.value,
        "purpose": step.purpose,
        "rules": rules_in_words(step),
        "tools": list[JsonValue](step.tools),
        "context": None
        if needs is None
        else {
            "need": needs.need,
            "collections": list[JsonValue](needs.collections),
            "labels": list[JsonValue](needs.labels),
            "pinned": list[JsonValue](needs.pinned),
            "budget": needs.budget,
        },
        "carry": list[JsonValue](step.carry),
        "limits": step.limits.model_dump(mode="json"),
        "checkpoints": step.checkpoints.model_dump(mode="json"),
        "on": step.on.model_dump(mode="json"),
        "next": list[JsonValue](step.next),
    }


OPERATIONS = (
    Operation("workflow.list", NoArguments, "person", _list, logged=False),
    Operation("workflow.show", OneWorkflow, "person", _show, logged=False),
    *agreeing("workflow", _part),
)
