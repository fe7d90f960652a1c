"""An upstream of 500 tools, over stdio, and a bare server that lists the few that it is given, over HTTP.

python -m benchmarks.many_tools upstream
python -m benchmarks.many_tools listed FILE PORT
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import anyio
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server
from mcp_types import ListToolsResult, PaginatedRequestParams, Tool

from benchmarks.peers import serve_over_http

COUNT = 500


def tools() -> list[Tool]:
    """The tools: each reads one thing of its own, by its number and in some way."""
    return [
        Tool(
            name=f"read_{number:03d}",
            description=f"Read what stands on shelf {number} of the store, as it was last counted.",
            input_schema={
                "type": "object",
                "properties": {
                    "item": {"type": "string", "description": "The item's name.", "maxLength": 100},
                    "since": {"type": "string", "description": "Only what was counted since this date."},
                    "limit": {"type": "integer", "minimum": 1, "maximum": 500, "default": 20},
                    "order": {"type": "string", "enum": ["name", "count", "date"], "default": "name"},
                },
                "required": ["item"],
                "additionalProperties": False,
            },
        )
        for number in range(COUNT)
    ]


def listing_server(listed: list[Tool]) -> Server[Any]:
    """The least that the SDK can do for a list: a server whose list is made once."""
    result = ListToolsResult(tools=listed)

    async def list_tools(
        _ctx: ServerRequestContext[Any], _params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        return result

    return Server("tools", version="1", on_list_tools=list_tools)


async def _over_stdio() -> None:
    server = listing_server(tools())
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


async def _over_http(listed: list[Tool], port: int) -> None:
    await serve_over_http(listing_server(listed), port)


if __name__ == "__main__":
    if sys.argv[1] == "upstream":
        anyio.run(_over_stdio)
    else:
        entries = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
        given = [Tool.model_validate(entry) for entry in entries]
        anyio.run(_over_http, given, int(sys.argv[3]), backend_options={"use_uvloop": True})
