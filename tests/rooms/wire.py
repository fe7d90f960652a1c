"""The wire: `tools/call` as bytes that no client library would send, in either era of the protocol."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from mcp.shared.inbound import encode_header_value

from tests.rooms.peers import plain_http

MODERN = "2026-07-28"
LEGACY = "2025-11-25"
_PREFIX = "io.modelcontextprotocol/"


@dataclass(slots=True)
class Wire:
    """Raw requests with one credential. `session` is the legacy era's."""

    http: httpx2.AsyncClient
    url: str
    era: str
    session: str | None = None
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(100))

    async def call(
        self,
        name: str,
        arguments: bytes | str,
        *,
        meta: dict[str, Any] | None = None,
        request_id: int | str | None = None,
    ) -> httpx2.Response:
        """A `tools/call` whose arguments are these very bytes."""
        raw = arguments.encode() if isinstance(arguments, str) else arguments
        told = {**self.meta(), **(meta or {})}
        head = json.dumps({"name": name, "_meta": told}).encode()[:-1]
        params = head + b', "arguments": ' + raw + b"}"
        return await self.post("tools/call", params, name=name, request_id=request_id)

    async def post(
        self, method: str, params: bytes, *, name: str = "", request_id: int | str | None = None
    ) -> httpx2.Response:
        """A request whose params are these very bytes."""
        number = json.dumps(next(self._ids) if request_id is None else request_id).encode()
        head = b'{"jsonrpc":"2.0","id":' + number + b',"method":"' + method.encode()
        answer = await self.http.post(
            self.url, content=head + b'","params":' + params + b"}", headers=self._headers(method, name)
        )
        return _last_of(answer)

    def _headers(self, method: str, name: str) -> dict[str, str]:
        own = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        if self.era == "auto":
            routed = {"mcp-method": method} | ({"mcp-name": encode_header_value(name)} if name else {})
            return {**own, "mcp-protocol-version": MODERN, **routed}
        session = {} if self.session is None else {"mcp-session-id": self.session}
        return {**own, "mcp-protocol-version": LEGACY, **session}

    def meta(self) -> dict[str, Any]:
        """The `_meta` that each request of this era carries."""
        if self.era != "auto":
            return {}
        return {f"{_PREFIX}protocolVersion": MODERN, f"{_PREFIX}clientCapabilities": {}}

    async def greet(self) -> None:
        """The legacy era's handshake."""
        client = {"name": "wire", "version": "1"}
        params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": client}
        answer = await self.post("initialize", json.dumps(params).encode())
        self.session = answer.headers["mcp-session-id"]
        told = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        await self.http.post(self.url, json=told, headers=self._headers("notifications/initialized", ""))


def _last_of(answer: httpx2.Response) -> httpx2.Response:
    """The answer itself, where it came as the last event of a stream."""
    if not answer.headers.get("content-type", "").startswith("text/event-stream"):
        return answer
    told = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    kept = {
        name: value
        for name, value in answer.headers.items()
        if name.startswith("mcp-") or name == "content-type"
    }
    return httpx2.Response(answer.status_code, headers=kept, content=told[-1].encode())


@asynccontextmanager
async def wired(url: str, credential: str, era: str) -> AsyncGenerator[Wire]:
    """A wire to the server, greeted where the era asks for it."""
    async with plain_http(credential) as http:
        wire = Wire(http, url, era)
        if era == "legacy":
            await wire.greet()
        yield wire


def code_of(answer: httpx2.Response) -> str:
    """The code in a result's structured content; for an error of the protocol, its number."""
    body: dict[str, Any] = answer.json()
    if "error" in body:
        return str(body["error"]["code"])
    return str(body["result"]["structuredContent"]["code"])
