"""What a tool's structured content looks like: short schemas, true for every answer, refusals among them.

By the protocol no output schema speaks of an error, but there are clients that hold errors to it too; so
nothing is required that a refusal does not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from ledger.canonical import JsonObject, JsonValue

_TEXT: Final[JsonObject] = {"type": "string"}
_OBJECT: Final[JsonObject] = {"type": "object"}
_TOKENED: Final[JsonObject] = {
    "type": "object",
    "properties": {
        "request": _TEXT,
        "approval_token": {"type": ["string", "null"]},
        "state": _TEXT,
        "expires": _TEXT,
    },
    "required": ["request", "state"],
}


def _out(**properties: JsonObject) -> JsonObject:
    told: JsonObject = {"code": _TEXT, "message": _TEXT}
    return {"type": "object", "properties": {**told, **properties}, "required": ["code"]}


def _list(items: JsonObject) -> JsonObject:
    return {"type": "array", "items": items}


def _result(structured: JsonValue = None) -> JsonObject:
    """What the upstream said, under the one key where it may stand."""
    properties: JsonObject = {"isError": {"type": "boolean"}, "content": _list(_OBJECT)}
    if structured is not None:
        properties["structuredContent"] = structured
    return {"type": "object", "properties": properties, "required": ["isError", "content"]}


OF_DESK: Final[Mapping[str, JsonObject]] = MappingProxyType(
    {
        "open_run": _out(run=_TEXT, status=_TEXT, current_step=_OBJECT),
        "current_step": _out(
            run=_TEXT,
            step=_TEXT,
            epoch={"type": "integer"},
            purpose=_TEXT,
            rules=_list(_TEXT),
            tools=_list(_OBJECT),
            state=_OBJECT,
            output_schema=_OBJECT,
            next=_list(_TEXT),
        ),
        "read_context": _out(
            bundle=_TEXT,
            items=_list(
                {"type": "object", "properties": {"id": _TEXT, "quote": _TEXT}, "required": ["id", "quote"]}
            ),
            sufficiency=_TEXT,
        ),
        "cite": _out(id=_TEXT, quote=_TEXT),
        "verify_quotes": _out(found=_list({"type": ["string", "null"]})),
        "use_tool": _out(execution=_TEXT, observation=_TEXT, status=_TEXT, result=_result()),
        "see_approval": _out(approvals=_list(_TOKENED)),
        "submit_step": _out(run=_TEXT, status=_TEXT, current_step=_OBJECT, approval=_TOKENED),
        "propose_source": _out(source=_TEXT, status=_TEXT),
    }
)
"""The output schema of each tool of the desk."""


def of_step_tool(*, is_write: bool, upstream: JsonObject | None) -> dict[str, Any]:
    """The output schema of a step's tool. Its upstream's own is part of it where it stands on its own: a
    reference in it would lead elsewhere once it is nested.
    """
    nested = upstream if upstream is not None and not _refers(upstream) else None
    result = _result(nested)
    if is_write:
        return _out(execution=_TEXT, status=_TEXT, result=result)
    return _out(execution=_TEXT, observation=_TEXT, result=result)


def _refers(schema: JsonValue) -> bool:
    if isinstance(schema, list):
        return any(_refers(item) for item in schema)
    if not isinstance(schema, dict):
        return False
    leads = any(name in schema for name in ("$ref", "$dynamicRef", "$id", "$anchor", "$dynamicAnchor"))
    return leads or any(_refers(value) for value in schema.values())
