"""The raw SDK 2.x, in the modern era: `with_sdk2.py URL KEY ITEM`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from walk import walk


async def main() -> None:
    headers = {"Authorization": f"Bearer {sys.argv[2]}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(sys.argv[1], http_client=http)) as client,
    ):

        async def call(tool: str, arguments: dict[str, Any], meta: Any) -> dict[str, Any]:
            said = await client.call_tool(tool, arguments, meta=meta)
            return dict(said.structured_content or {})

        listed = (await client.list_tools()).tools
        await walk([tool.name for tool in listed], call, carries_meta=True)


asyncio.run(main())
