"""fastmcp's client: `with_fastmcp.py URL KEY ITEM`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from fastmcp import Client
from fastmcp.client.auth import BearerAuth
from walk import walk


async def main() -> None:
    async with Client(sys.argv[1], auth=BearerAuth(sys.argv[2])) as client:

        async def call(tool: str, arguments: dict[str, Any], meta: dict[str, Any] | None) -> dict[str, Any]:
            said = await client.call_tool(tool, arguments, meta=meta, raise_on_error=False)
            return dict(said.structured_content or {})

        await walk([tool.name for tool in await client.list_tools()], call, carries_meta=True)


asyncio.run(main())
