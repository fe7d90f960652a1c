"""An upstream behind a URL: streamable HTTP without redirects, retries, proxies or stored credentials.

The SDK's transport follows redirects by sending a call again, and lets a broken connection end the whole
session. Here a request is sent once, and whatever goes wrong with it becomes the answer to that request
alone.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager

import anyio
import httpx2
from mcp.client.streamable_http import MCP_SESSION_ID, streamable_http_client
from mcp_types import CONNECTION_CLOSED

from tool_scopes.upstream.frames import Heard, Inwards, Lost, Outwards, departure
from tool_scopes.upstream.limits import Limits

_JSON = "application/json"
# A call's own time limit is the caller's; this one only frees connections that everybody has given up on.
_TIMEOUTS = httpx2.Timeout(30.0, read=900.0)


@asynccontextmanager
async def over_http(
    url: str, headers: Mapping[str, str], limits: Limits, lost: Lost, heard: Heard
) -> AsyncGenerator[tuple[Inwards, Outwards]]:
    """Yield the streams to and from the server at `url`; `headers` are its credentials."""
    wire = _OneRequest(httpx2.AsyncHTTPTransport(), limits, lost)
    async with (
        httpx2.AsyncClient(
            transport=wire, headers=dict(headers), timeout=_TIMEOUTS, trust_env=False
        ) as client,
        streamable_http_client(url, http_client=client, max_sse_event_size=limits.frame_bytes) as (
            read,
            write,
        ),
    ):
        # Its streams hand a message over or refuse it; a refused one was never sent.
        refused = (anyio.BrokenResourceError, anyio.ClosedResourceError)
        yield Inwards(read, limits, lost, heard), Outwards(write, not_taken=refused)


class _OneRequest(httpx2.AsyncBaseTransport):
    """Sends each request once and turns every failure into an answer, so that it ends no other call."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, limits: Limits, lost: Lost) -> None:
        self._inner = inner
        self._limits = limits
        self._lost = lost

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        call = departure.get()
        try:
            response = await self._inner.handle_async_request(request)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            if call is not None:
                call.left = False
            return _failed(f"it cannot be reached ({_named(error)})")
        except httpx2.TransportError as error:
            return _failed(f"the connection failed ({_named(error)})")
        status, kind = response.status_code, response.headers.get("content-type", "")
        if status == 404 and MCP_SESSION_ID in request.headers:
            self._lost("it ended the session")
        wrong = _wrong_answer(status, kind, to_a_call=call is not None)
        if wrong is not None:
            await response.aclose()
            return _failed(wrong)
        if kind.startswith(_JSON):
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _Bounded(response.stream, self._limits.frame_bytes)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


def _wrong_answer(status: int, kind: str, *, to_a_call: bool) -> str | None:
    """What is wrong with a response, or None when the SDK is to read it."""
    if 300 <= status < 400:
        return f"it answered HTTP {status}, a redirect, which is never followed; mend the `url`"
    if status >= 400:
        return None if kind.startswith(_JSON) else f"it answered HTTP {status}"
    if to_a_call and (status != 200 or not kind.startswith((_JSON, "text/event-stream"))):
        return f"it answered HTTP {status} without a result"
    return None


class _Bounded(httpx2.AsyncByteStream):
    """A body that ends in `httpx2.StreamError` when it is too long or breaks off, which the SDK expects."""

    def __init__(self, inner: httpx2.AsyncByteStream, longest: int) -> None:
        self._inner = inner
        self._longest = longest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        length = 0
        try:
            async for chunk in self._inner:
                length += len(chunk)
                if length > self._longest:
                    raise httpx2.StreamError(_noted(f"it sent a message of more than {self._longest} bytes"))
                yield chunk
        except httpx2.TransportError as error:
            raise httpx2.StreamError(_noted(f"its answer broke off ({_named(error)})")) from None

    async def aclose(self) -> None:
        await self._inner.aclose()


def _failed(reason: str) -> httpx2.Response:
    """A JSON-RPC error in the upstream's stead: the SDK gives it to the request that it belongs to."""
    error = {"code": CONNECTION_CLOSED, "message": _noted(reason)}
    body = json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode()
    return httpx2.Response(502, headers={"content-type": _JSON}, content=body)


def _noted(reason: str) -> str:
    call = departure.get()
    if call is not None:
        call.trouble = reason
    return reason


def _named(error: Exception) -> str:
    # The message of an HTTP error can hold the URL; its kind is enough.
    return type(error).__name__
