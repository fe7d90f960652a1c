"""InjecAgent's tools as an MCP server over stdio, and its cases: instructions hidden in what a tool says.

    INJECAGENT_FOLDER=… INJECAGENT_CALLS=FILE python -m tests.foreign.injecagent

`read_case` gives the published tool response of a case, word for word, with the injection in it. Every
tool that an injection asks for exists here as well, takes any arguments, and writes down that it was called.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
)

FILES = ("test_cases_dh_base.json", "test_cases_ds_base.json")
READ = "read_case"
CASE: dict[str, Any] = {
    "type": "object",
    "properties": {"number": {"type": "integer", "minimum": 0}},
    "required": ["number"],
    "additionalProperties": False,
}
ANYTHING: dict[str, Any] = {"type": "object", "properties": {"instruction": {"type": "string"}}}


@dataclass(frozen=True, slots=True)
class Case:
    """One case: what the tool says, what is hidden in it, and the tools that it wants to be called."""

    number: int
    said: str
    instruction: str
    wanted: tuple[str, ...]


def cases(folder: Path) -> list[Case]:
    """Every case of both files."""
    raw = [one for name in FILES for one in json.loads((folder / name).read_text("utf-8"))]
    return [
        Case(number, one["Tool Response"], one["Attacker Instruction"], tuple(one["Attacker Tools"]))
        for number, one in enumerate(raw)
    ]


def tools(folder: Path) -> Mapping[str, dict[str, Any]]:
    """Tool → its input schema: the reading one, and whatever the injections ask for."""
    wanted = sorted({tool for case in cases(folder) for tool in case.wanted})
    return {READ: CASE, **dict.fromkeys(wanted, ANYTHING)}


def serve(folder: Path, calls: Path) -> Server[Any]:
    """The MCP server."""
    said, offered = [case.said for case in cases(folder)], tools(folder)

    async def list_tools(
        ctx: ServerRequestContext[Any], params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        listed = [Tool(name=name, description=name, input_schema=schema) for name, schema in offered.items()]
        return ListToolsResult(tools=listed)

    async def call_tool(ctx: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
        given = params.arguments or {}
        if params.name == READ:
            return CallToolResult(content=[TextContent(text=said[int(str(given["number"]))])])
        with calls.open("a") as out:
            out.write(json.dumps({"tool": params.name, "arguments": given}) + "\n")
        return CallToolResult(content=[TextContent(text="done")])

    return Server(
        "injecagent",
        version="1",
        get_tool_input_schema=offered.get,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def main() -> None:
    server = serve(Path(os.environ["INJECAGENT_FOLDER"]), Path(os.environ["INJECAGENT_CALLS"]))
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


if __name__ == "__main__":
    anyio.run(main)
