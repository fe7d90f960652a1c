"""The two peers that a governed call is measured against, each a program of its own.

`direct` serves the tools itself: the least that the SDK can cost. `proxy` forwards each call to the upstream
over one long-lived session: what stands between an agent and an upstream when nobody governs anything. Both
are low-level servers of the same SDK, served with the options that the product is served with.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import uvicorn
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
)

from benchmarks.upstream import items_server

NAMES = ("direct", "proxy")


@asynccontextmanager
async def proxy_server(command: Sequence[str]) -> AsyncGenerator[Server[Any]]:
    """A server that passes every call on to the upstream of `command`, and nothing else."""
    upstream = stdio_client(StdioServerParameters(command=command[0], args=list(command[1:])))
    async with Client(upstream, mode="auto") as client:
        session = client.session
        tools = (await session.list_tools()).tools

        async def list_tools(
            ctx: ServerRequestContext[Any], params: PaginatedRequestParams | None
        ) -> ListToolsResult:
            return ListToolsResult(tools=tools)

        async def call_tool(ctx: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
            return await session.call_tool(params.name, params.arguments)

        yield Server(
            "proxy",
            version="1",
            get_tool_input_schema={tool.name: tool.input_schema for tool in tools}.get,
            on_list_tools=list_tools,
            on_call_tool=call_tool,
        )


async def serve_over_http(server: Server[Any], port: int) -> None:
    """Serve with the options that the product is served with."""
    options = uvicorn.Config(
        server.streamable_http_app(json_response=True),
        host="127.0.0.1",
        port=port,
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
    await uvicorn.Server(options).serve()


async def _run(name: str, port: int, journal: Path) -> None:
    if name == "direct":
        await serve_over_http(items_server(journal), port)
        return
    async with proxy_server([sys.executable, "-m", "benchmarks.upstream", str(journal)]) as server:
        await serve_over_http(server, port)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers")
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--journal", type=Path, required=True)
    given = parser.parse_args()
    anyio.run(_run, given.name, given.port, given.journal, backend_options={"use_uvloop": True})


if __name__ == "__main__":
    main()
