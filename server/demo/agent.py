"""A scripted agent: the SDK's own client and no model. It knows what it will do; the server does not."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult


@dataclass(frozen=True, slots=True)
class Said:
    """What a call brought: the structured answer, or the protocol's own error."""

    body: dict[str, Any]
    error: str | None = None

    @property
    def code(self) -> str:
        """The code of the answer; empty for an error of the protocol."""
        return str(self.body.get("code", ""))


class Connection:
    """One MCP connection with one credential."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def tools(self) -> list[str]:
        """The names that `tools/list` gives."""
        return [tool.name for tool in (await self._client.list_tools()).tools]

    async def call(self, tool: str, /, **arguments: Any) -> Said:
        """Call a tool and read its structured answer."""
        try:
            result = await self._client.call_tool(tool, arguments)
        except MCPError as error:
            return Said({}, f"{error.code} {error.message}")
        assert isinstance(result, CallToolResult), "no tool of ours asks for input"
        return Said(dict(result.structured_content or {}))


@asynccontextmanager
async def connected(url: str, credential: str) -> AsyncGenerator[Connection]:
    """A connection to the MCP endpoint with an agent key or a step pass."""
    headers = {"Authorization": f"Bearer {credential}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30.0) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        yield Connection(client)
