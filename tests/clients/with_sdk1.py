"""The raw SDK 1.x: `with_sdk1.py URL KEY ITEM`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import httpx
from mcp import ClientSession, types
from mcp.client.streamable_http import streamable_http_client
from walk import walk


async def main() -> None:
    headers = {"Authorization": f"Bearer {sys.argv[2]}"}
    async with (
        httpx.AsyncClient(headers=headers, timeout=60) as http,
        streamable_http_client(sys.argv[1], http_client=http) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()

        async def call(tool: str, arguments: dict[str, Any], meta: dict[str, Any] | None) -> dict[str, Any]:
            params = types.CallToolRequestParams(name=tool, arguments=arguments, _meta=meta)
            request = types.ClientRequest(types.CallToolRequest(params=params))
            said = await session.send_request(request, types.CallToolResult)
            return dict(said.structuredContent or {})

        listed = (await session.list_tools()).tools
        await walk([tool.name for tool in listed], call, carries_meta=True)


asyncio.run(main())
