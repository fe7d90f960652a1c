"""Peers: the SDK's own client with one credential, in either era of the protocol, and what it hears."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, TextContent, Tool

ERAS = ("auto", "legacy")
APPROVAL_META = "dev.bailiwick/approval"


@dataclass(frozen=True, slots=True)
class Said:
    """What a call brought: structured content and its text copy, or the protocol's own error."""

    body: dict[str, Any]
    text: str
    is_error: bool
    error: tuple[int, str] | None = None

    @property
    def code(self) -> str:
        """The code of the answer; empty for an error of the protocol."""
        return str(self.body.get("code", ""))

    @property
    def observation(self) -> str:
        """The provenance id of what a reading tool said."""
        return str(self.body["observation"])

    @property
    def approval(self) -> dict[str, str]:
        """The approval request that a refused write names."""
        return self.body["approval"]

    @property
    def token(self) -> str:
        """The token of that request."""
        return self.approval["approval_token"]


@dataclass(frozen=True, slots=True)
class Peer:
    """One MCP connection."""

    client: Client

    async def tools(self) -> list[Tool]:
        """What `tools/list` gives."""
        return (await self.client.list_tools()).tools

    async def names(self) -> list[str]:
        """The names of those tools."""
        return [tool.name for tool in await self.tools()]

    async def call(self, name: str, meta: dict[str, Any] | None = None, /, **arguments: Any) -> Said:
        """Call a tool, with more `_meta` if need be."""
        try:
            result = await self.client.call_tool(name, arguments, meta=cast("Any", meta))
        except MCPError as error:
            return Said({}, "", True, (error.error.code, error.error.message))
        assert isinstance(result, CallToolResult)
        text = "".join(block.text for block in result.content if isinstance(block, TextContent))
        return Said(cast("dict[str, Any]", result.structured_content or {}), text, bool(result.is_error))

    async def open(self, workflow: str, request: str = "", item: str = "i-1", **more: Any) -> str:
        """Open a run and give its id."""
        given = {"item_id": item, "request": request or "When may the price of an item be changed?"}
        said = await self.call("open_run", workflow=workflow, input=given, **more)
        assert said.code == "done", said
        return str(said.body["run"])

    async def use(self, run: str, tool: str, token: str | None = None, /, **arguments: Any) -> Said:
        """Use a tool of the run's step from the desk."""
        carried = {} if token is None else {"approval_token": token}
        return await self.call("use_tool", run_id=run, tool=tool, arguments=arguments, **carried)

    async def submit(self, run: str, step: str, /, next: str | None = None, **changes: Any) -> Said:
        """End a step with an envelope; `changes` replace its fields."""
        envelope: dict[str, Any] = {
            "step": step,
            "status": "done",
            "confidence": 0.9,
            "evidence": [],
            "proposed_action": None,
            "reason": "It was looked at.",
            "state": {"finding": "as it should be"},
        }
        chosen = {} if next is None else {"next": next}
        return await self.call("submit_step", run_id=run, envelope={**envelope, **changes}, **chosen)


_TLS = ssl.create_default_context()


def plain_http(credential: str) -> httpx2.AsyncClient:
    """An HTTP client with a credential. To read the certificates of the world for each would take a while."""
    headers = {"authorization": f"Bearer {credential}"}
    return httpx2.AsyncClient(headers=headers, timeout=30.0, trust_env=False, verify=_TLS)


@asynccontextmanager
async def connected(url: str, credential: str, era: str = "auto") -> AsyncGenerator[Peer]:
    """A connection over streamable HTTP."""
    async with (
        plain_http(credential) as http,
        Client(streamable_http_client(url, http_client=http), mode=era, cache=None) as client,
    ):
        yield Peer(client)
