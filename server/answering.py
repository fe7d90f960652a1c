"""How an MCP request is answered: as one JSON body, or as a stream where more than the answer may come.

In the modern era a request has a stream only if it asks for progress: an answer as one body costs less, and
is not cancelled when its client goes away. A legacy session always has one for each request. The body is read
once here, for both eras, and told again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.types import ASGIApp, Receive, Scope, Send

from server.bodies import no_message, read_body
from server.in_flight import OneRequestForAnId

_PROGRESS: Final = b'"progressToken"'


class Answering:
    """The ASGI application behind the check of identity. `running` is entered while it serves."""

    def __init__(
        self, mcp_server: Server[Any], max_body: int, security: TransportSecuritySettings | None
    ) -> None:
        self._managers = [
            StreamableHTTPSessionManager(
                mcp_server,
                json_response=json_response,
                max_request_body_size=max_body,
                security_settings=security,
            )
            for json_response in (True, False)
        ]
        whole, streamed = (StreamableHTTPASGIApp(manager) for manager in self._managers)
        self._whole: ASGIApp = whole
        self._streamed: ASGIApp = streamed
        self._legacy: ASGIApp = OneRequestForAnId(streamed, max_body)
        self._max_body = max_body

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Serve for the length of the block."""
        whole, streamed = self._managers
        async with whole.run(), streamed.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        version = next((value for name, value in scope["headers"] if name == b"mcp-protocol-version"), None)
        legacy = version is None or version.decode("latin-1") in HANDSHAKE_PROTOCOL_VERSIONS
        if scope["method"] != "POST":
            await (self._legacy if legacy else self._whole)(scope, receive, send)
            return
        body, again = await read_body(receive, self._max_body)
        if legacy:
            # What the SDK would say here is a page about its own types.
            await (no_message(body) or self._legacy)(scope, again, send)
            return
        # The mark in a string of the arguments, too, only means that the answer comes as a stream.
        await (self._streamed if _PROGRESS in body else self._whole)(scope, again, send)
