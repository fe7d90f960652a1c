"""Tool lists in their wire form, built once for each scope: a list costs a look-up, and is the same bytes
each time, for as long as the tools behind it are the same.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from ledger.canonical import JsonObject, JsonValue
from policies.codes import Denial
from server.desk import DESK, DeskTool
from server.output_schemas import OF_DESK, of_step_tool
from tool_scopes.house import Caller, House
from tool_scopes.scopes import Scope
from tool_scopes.standing import stand
from tool_scopes.views import ViewTool
from tool_scopes.workflows import Workflow

_MOST_WORKFLOWS = 20
"""How many workflows the description of open_run names."""

_NULL: JsonValue = {"type": "null"}
# Hints are the admin's classification or our own; an upstream's are never passed on. A write repeated without
# its approval asks for another one, so it is not called idempotent.
_READS: dict[str, bool] = {"readOnlyHint": True}
_CHANGES: dict[str, bool] = {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": False}
RUN_ID: JsonObject = {"type": "string", "description": "The run, as open_run gave it (run_…)."}


@dataclass(frozen=True, slots=True, eq=False)
class ToolList:
    """One list: the result, and the whole answers that the SDK made of it, by the protocol's revision."""

    result: dict[str, Any]
    answers: dict[str, Any] = field(default_factory=dict[str, Any])


class ToolLists:
    """The list of each caller: the desk's, or a step's. Nothing here depends on a connection."""

    def __init__(self, house: House) -> None:
        self._house = house
        desk = desk_entries()
        for entry in desk:
            if entry["name"] == "open_run":
                entry["description"] = _of_workflows(house.workflows)
        self._desk = _list(desk)
        self._of_scope: dict[tuple[str, str, bool], tuple[Scope, ToolList]] = {}

    def of(self, caller: Caller) -> ToolList:
        """The `tools/list` result for this caller. A stale pass lists nothing: there is nothing that it could
        call.
        """
        if caller.workflow is None:
            return self._desk
        if caller.run is not None:
            standing = self._house.ledger.read(lambda reading: stand(self._house, reading, caller, None))
            if isinstance(standing, Denial):
                return _list([])
            return self._listed(standing.workflow.digest, standing.scope, run_id=False)
        workflow = self._house.workflows[caller.workflow]
        scope = self._house.scopes.scope(workflow, workflow.steps[caller.step or workflow.start])
        return self._listed(workflow.digest, scope, run_id=True)

    def _listed(self, version: str, scope: Scope, *, run_id: bool) -> ToolList:
        key = (version, scope.step, run_id)
        known = self._of_scope.get(key)
        # The scope is another one as soon as an upstream's tools are.
        if known is not None and known[0] is scope:
            return known[1]
        listed = _list(step_entries(scope, run_id=run_id))
        self._of_scope[key] = (scope, listed)
        return listed


def _of_workflows(workflows: Mapping[str, Workflow]) -> str:
    """What open_run says: which workflows there are, what each is for and what opens it."""
    told: list[str] = []
    for name, workflow in sorted(workflows.items())[:_MOST_WORKFLOWS]:
        required = workflow.input.get("required")
        keys = [str(key) for key in required] if isinstance(required, list) else []
        told.append(f"{name} (input: {', '.join(keys) or 'nothing'}): {workflow.purpose}")
    more = len(workflows) - len(told)
    rest = [f"And {more} more; a name that there is not is answered with all of them."] if more else []
    return "\n".join(["Open a run of a workflow, and get its first step. There are:", *told, *rest])


def step_entries(scope: Scope, *, run_id: bool) -> list[dict[str, Any]]:
    """The entries of a step's list: its own tools, then those for reading and ending it."""
    own = [_step_entry(tool, run_id=run_id) for tool in scope.tools.values()]
    return own + [_desk_entry(tool, run_id=run_id) for tool in DESK.values() if tool.within_step]


def desk_entries() -> list[dict[str, Any]]:
    """The entries of the desk's list."""
    return [_desk_entry(tool, run_id=tool.name != "open_run") for tool in DESK.values()]


def _list(tools: list[dict[str, Any]]) -> ToolList:
    return ToolList({"resultType": "complete", "tools": tools})


def _step_entry(tool: ViewTool, *, run_id: bool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "inputSchema": _with_run_id(tool.input_schema) if run_id else tool.input_schema,
        "outputSchema": of_step_tool(is_write=tool.view.is_write, upstream=tool.output_schema),
        "annotations": _CHANGES if tool.view.is_write else _READS,
    }


def _desk_entry(tool: DeskTool, *, run_id: bool) -> dict[str, Any]:
    schema: dict[str, Any] = cast("dict[str, Any]", _plain(tool.arguments.model_json_schema()))
    properties = schema.get("properties", {})
    if "run_id" in properties:
        del properties["run_id"]
        schema = _with_run_id(schema) if run_id else schema
    return {
        "name": tool.name,
        "description": tool.description,
        "inputSchema": schema,
        "outputSchema": OF_DESK[tool.name],
        "annotations": _desk_hints(tool),
    }


def _with_run_id(schema: JsonObject) -> dict[str, Any]:
    whole: dict[str, Any] = copy.deepcopy(schema)
    whole["properties"] = {"run_id": RUN_ID, **whole.get("properties", {})}
    whole["required"] = ["run_id", *whole.get("required", [])]
    return whole


def _desk_hints(tool: DeskTool) -> dict[str, bool]:
    """All but `use_tool` stay within this house. What only adds something destroys nothing."""
    if tool.name == "use_tool":
        return _CHANGES
    if tool.read_only:
        return {**_READS, "openWorldHint": False}
    return {**_CHANGES, "destructiveHint": not tool.adds_only, "openWorldHint": False}


def _plain(schema: JsonValue) -> JsonValue:
    """A model's schema with fewer tokens: without titles and `null` choices, which teach a caller nothing."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    choices = schema.get("anyOf")
    if isinstance(choices, list) and len(choices) == 2 and _NULL in choices:
        other = next(item for item in choices if item != _NULL)
        rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
        schema = {**other, **rest} if isinstance(other, dict) else rest
    return {key: _plain(value) for key, value in schema.items() if key != "title" or isinstance(value, dict)}
