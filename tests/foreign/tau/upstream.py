"""A tau domain as an MCP server over stdio: the published tools over a database of its own.

    TAU_DOMAIN=retail|airline TAU_FOLDER=…/tau_retail TAU_DATABASE=FILE python -m tests.foreign.tau.upstream

The tools' names, descriptions and schemas are the published ones. A call that is refused is an error whose
text begins with `Error: `, and has changed nothing.
"""

from __future__ import annotations

import json
import os
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

from tests.foreign.tau.airline import Airline
from tests.foreign.tau.database import Database, Refused
from tests.foreign.tau.published import published_tools
from tests.foreign.tau.retail import Retail

DOMAINS = {"retail": Retail, "airline": Airline}


def serve(domain: str, folder: Path, database: Database) -> Server[Any]:
    """The MCP server of a domain."""
    desk = DOMAINS[domain](database)
    tools = {tool.name: tool for tool in published_tools(folder)}

    async def list_tools(
        ctx: ServerRequestContext[Any], params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        listed = [
            Tool(name=tool.name, description=tool.description, input_schema=tool.input_schema)
            for tool in tools.values()
        ]
        return ListToolsResult(tools=listed)

    async def call_tool(ctx: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
        given = params.arguments or {}
        database.note_call(params.name, given)
        if params.name not in tools:
            return _said(f"Error: there is no tool {params.name}", is_error=True)
        try:
            with database:
                answer = getattr(desk, params.name)(**given)
        except (Refused, TypeError) as refused:
            return _said(f"Error: {refused}", is_error=True)
        return _said(answer if isinstance(answer, str) else json.dumps(answer))

    return Server(
        f"tau-{domain}",
        version="1",
        get_tool_input_schema={name: tool.input_schema for name, tool in tools.items()}.get,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _said(text: str, *, is_error: bool = False) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=text)], is_error=is_error)


async def main() -> None:
    database = Database(Path(os.environ["TAU_DATABASE"]))
    server = serve(os.environ["TAU_DOMAIN"], Path(os.environ["TAU_FOLDER"]), database)
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


if __name__ == "__main__":
    anyio.run(main)
