"""Reading an upstream's tool list, all pages of it, within limits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import anyio.lowlevel
import jsonschema_rs
from mcp.client.session import ClientSession
from mcp_types import PaginatedRequestParams, Tool

from ledger.canonical import CanonicalError, JsonObject, check_value
from tool_scopes.schemas import compile_schema
from tool_scopes.upstream.limits import Limits
from tool_scopes.upstream.tools import UpstreamTool, UpstreamUnavailable


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """The tools of an upstream by name, the validators of their output, and why others cannot be used."""

    tools: Mapping[str, UpstreamTool]
    outputs: Mapping[str, jsonschema_rs.Validator]
    refused: Mapping[str, str]


NOTHING = Listing({}, {}, {})
"""The listing of an upstream that has listed nothing that can be used."""


async def list_tools(session: ClientSession, limits: Limits, before: Listing = NOTHING) -> Listing:
    """The upstream's whole list; what is as it was `before` is taken from there.

    Raises UpstreamUnavailable when the list itself cannot be used.
    """
    tools: dict[str, UpstreamTool] = {}
    outputs: dict[str, jsonschema_rs.Validator] = {}
    refused: dict[str, str] = {}
    cursor: str | None = None
    for _ in range(limits.pages):
        page = await session.list_tools(params=PaginatedRequestParams(cursor=cursor) if cursor else None)
        for wire in page.tools:
            # A long list is read while everybody else's calls go on.
            await anyio.lowlevel.checkpoint()
            if wire.name in tools or wire.name in refused:
                raise UpstreamUnavailable(f"it lists the tool {wire.name[:128]} twice")
            if len(tools) + len(refused) == limits.tools:
                raise UpstreamUnavailable(f"it lists more than {limits.tools} tools")
            try:
                tool = _tool(wire, limits)
                known = before.tools.get(tool.name)
                if known is not None and known == tool:
                    tool = known
                if tool.output_schema is not None:
                    judge = before.outputs.get(tool.name) if tool is known else None
                    outputs[tool.name] = judge or compile_schema(tool.output_schema)
                tools[tool.name] = tool
            except (ValueError, RecursionError) as error:
                refused[wire.name] = str(error)
        cursor = page.next_cursor
        if cursor is None:
            return Listing(tools, outputs, refused)
    raise UpstreamUnavailable(f"its tool list has more than {limits.pages} pages")


def _tool(wire: Tool, limits: Limits) -> UpstreamTool:
    told = wire.model_dump(by_alias=True, mode="json", exclude_none=True)
    size = len(json.dumps(told).encode())
    if size > limits.tool_bytes:
        raise CanonicalError(f"its definition has {size} bytes, the limit is {limits.tool_bytes}")
    # One form in memory, so that a fingerprint and a schema on the wire tell the same.
    schema = cast("JsonObject", check_value(wire.input_schema))
    output = cast("JsonObject | None", check_value(wire.output_schema))
    return UpstreamTool(wire.name, wire.description or "", schema, output, told.get("annotations", {}))
