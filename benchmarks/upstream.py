"""A small MCP server with one tool that reads and one that writes: what every subject stands in front of.

Run as a program it speaks MCP over stdio. It notes each write in a journal file, so that a benchmark can see
from outside what really happened.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import anyio
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
)

READ, WRITE = "read_item", "write_item"

_ITEM = {"type": "string", "description": "The item's name.", "maxLength": 100}
TOOLS = (
    Tool(
        name=READ,
        description="Read an item.",
        input_schema={
            "type": "object",
            "properties": {"item": _ITEM},
            "required": ["item"],
            "additionalProperties": False,
        },
    ),
    Tool(
        name=WRITE,
        description="Give an item an amount.",
        input_schema={
            "type": "object",
            "properties": {"item": _ITEM, "amount": {"type": "integer", "minimum": 0}},
            "required": ["item", "amount"],
            "additionalProperties": False,
        },
    ),
)


def content_of(item: str) -> str:
    """What an item reads as: a short text, as tools give it."""
    return f"Item {item}, in stock, kept on shelf 12, last counted on Monday."


def items_server(journal: Path) -> Server[Any]:
    """The server. `journal` gets one line for each write: the item's name."""
    book = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    async def list_tools(
        ctx: ServerRequestContext[Any], params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        return ListToolsResult(tools=list(TOOLS))

    async def call_tool(ctx: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
        given = params.arguments or {}
        item = str(given["item"])
        if params.name == READ:
            return _said(content_of(item), {"item": item, "text": content_of(item)})
        os.write(book, f"{item}\n".encode())
        return _said(f"Item {item} has {given['amount']} now.", {"item": item, "amount": given["amount"]})

    return Server(
        "items",
        version="1",
        get_tool_input_schema={tool.name: tool.input_schema for tool in TOOLS}.get,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _said(text: str, data: dict[str, Any]) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=text)], structured_content=data)


async def _serve(journal: Path) -> None:
    server = items_server(journal)
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


if __name__ == "__main__":
    anyio.run(_serve, Path(sys.argv[1]))
