"""langchain-mcp-adapters, on the older SDK and without `_meta`: `with_langchain.py URL KEY ITEM`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from langchain_core.tools import ToolException
from langchain_mcp_adapters.client import MultiServerMCPClient
from walk import in_text, walk


async def main() -> None:
    headers = {"Authorization": f"Bearer {sys.argv[2]}"}
    server = {"transport": "streamable_http", "url": sys.argv[1], "headers": headers}
    client = MultiServerMCPClient({"bailiwick": server})
    tools = {tool.name: tool for tool in await client.get_tools()}

    async def call(tool: str, arguments: dict[str, Any], _meta: Any) -> dict[str, Any]:
        try:
            said = await tools[tool].ainvoke(arguments)
        except ToolException as refused:  # what langchain hands to the model as the tool's output
            said = str(refused)
        return in_text(said)

    await walk(list(tools), call, carries_meta=False)


asyncio.run(main())
