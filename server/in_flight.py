"""Two requests with one id in one legacy session: the second is refused, so that neither waits for ever.

The SDK keeps a session's waiting requests by id. A second one with the same id would take the first one's
place, and the first would never be answered. The modern era has no sessions: there each request waits for
itself.
"""

from __future__ import annotations

import json
from typing import Any, Final, cast

import anyio
from mcp_types import INVALID_REQUEST
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.bodies import read_body

_SESSION: Final = b"mcp-session-id"


class OneRequestForAnId:
    """Passes a request on unless its session has one with the same id under way.

    `max_body` is in bytes; what is longer is passed on unread, to be refused for its length.
    """

    def __init__(self, app: ASGIApp, max_body: int) -> None:
        self._app = app
        self._max_body = max_body
        self._under_way: dict[tuple[bytes, str], _UnderWay] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 400 where the id is taken; else pass the request on."""
        session = next((value for name, value in scope["headers"] if name == _SESSION), None)
        if session is None or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        body, rest = await read_body(receive, self._max_body)
        request_id = _id_in(body)
        if request_id is None:
            await self._app(scope, rest, send)
            return
        # As text, because that is how the SDK tells them apart: 7 and "7" are one id to it.
        key = session, str(request_id)
        before = self._under_way.get(key)
        if before is not None and before.answered:
            await before.over.wait()  # its client has the answer; only the stream is still being closed
            before = self._under_way.get(key)
        if before is not None:
            await _taken(request_id)(scope, receive, send)
            return
        self._under_way[key] = request = _UnderWay(send)
        try:
            await self._app(scope, rest, request.send)
        finally:
            del self._under_way[key]
            request.over.set()


class _UnderWay:
    """One request that is being answered, and whether its client has the answer."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.answered = False
        self.over = anyio.Event()

    async def send(self, message: Message) -> None:
        """Pass a part of the response on. Notifications have a method; what has none is the answer."""
        body: bytes = message.get("body", b"")
        self.answered = self.answered or (bool(body) and b'"method"' not in body)
        await self._send(message)


def _id_in(body: bytes) -> int | str | None:
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    # What has no method is an answer to a request of ours, under our id.
    message = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    request_id = message.get("id") if "method" in message else None
    return request_id if isinstance(request_id, int | str) else None


def _taken(request_id: int | str) -> JSONResponse:
    error = {"code": INVALID_REQUEST, "message": "A request with this id is still under way; use another id"}
    return JSONResponse({"jsonrpc": "2.0", "id": request_id, "error": error}, status_code=400)
