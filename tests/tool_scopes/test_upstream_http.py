"""An upstream behind a URL: one request for each call, whatever the other side does with it."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import pytest
import uvicorn

from examples.refund_desk.orders import OrderDesk
from examples.refund_desk.seed import seed
from examples.refund_desk.server import serve
from tests.tool_scopes.raw_upstream import LEGACY, MODERN
from tests.tool_scopes.upstreams import QUICK, running
from tool_scopes.upstream.servers import HttpServer
from tool_scopes.upstream.tools import UpstreamFailure

pytestmark = pytest.mark.anyio


@dataclass
class RawHttp:
    """A server that answers each request as told, and keeps what came."""

    era: str = MODERN
    on_call: Callable[[Any], bytes] = lambda message: said(
        message, {"content": [{"type": "text", "text": "hi"}]}
    )
    port: int = 0
    open: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    closed: anyio.Event = field(default_factory=anyio.Event)
    requests: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    headers: list[str] = field(default_factory=list[str])

    @property
    def calls(self) -> int:
        return sum(request.get("method") == "tools/call" for request in self.requests)

    @property
    def server(self) -> HttpServer:
        return HttpServer(f"http://127.0.0.1:{self.port}/mcp", {"Authorization": "Bearer ${TOKEN}"})

    async def handle(self, stream: anyio.abc.ByteStream) -> None:
        async with stream:
            data = b""
            while b"\r\n\r\n" not in data:
                data += await stream.receive()
            head, _, body = data.partition(b"\r\n\r\n")
            self.headers.append(head.decode())
            length = next(
                (int(h[15:]) for h in head.decode().lower().splitlines() if h.startswith("content-length:")),
                0,
            )
            while len(body) < length:
                body += await stream.receive()
            message: dict[str, Any] = json.loads(body) if body else {}
            self.requests.append(message)
            await stream.send(self.answer(message))

    def answer(self, message: dict[str, Any]) -> bytes:
        match message.get("method"):
            case "server/discover" if self.era == MODERN:
                return said(
                    message, {"supportedVersions": [MODERN], "capabilities": {"tools": {}}, **MODERN_LIST}
                )
            case "initialize" if self.era == LEGACY:
                info = {"name": "raw", "version": "1"}
                result: dict[str, Any] = {
                    "protocolVersion": LEGACY,
                    "capabilities": {"tools": {}},
                    "serverInfo": info,
                }
                return said(message, result, "Mcp-Session-Id: s-1\r\n")
            case "tools/list":
                tool = {"name": "refund", "inputSchema": {"type": "object"}}
                return said(message, {"tools": [tool], **MODERN_LIST})
            case "tools/call":
                return self.on_call(message)
            case _:
                return reply(b"", "405 Method Not Allowed")


MODERN_LIST = {"ttlMs": 0, "cacheScope": "private"}


def reply(body: bytes, status: str = "200 OK", more: str = "", kind: str = "application/json") -> bytes:
    head = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{more}\r\n"
    return f"HTTP/1.1 {status}\r\n{head}".encode() + body


def said(message: dict[str, Any], result: dict[str, Any], more: str = "") -> bytes:
    whole = {"jsonrpc": "2.0", "id": message["id"], "result": {"resultType": "complete", **result}}
    return reply(json.dumps(whole).encode(), more=more)


@asynccontextmanager
async def raw_http(**told: Any) -> AsyncGenerator[RawHttp]:
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        raw = RawHttp(port=listener.extra(anyio.abc.SocketAttribute.local_port), **told)
        tasks.start_soon(serve_raw, listener, raw)
        yield raw
        tasks.cancel_scope.cancel()


async def serve_raw(listener: anyio.abc.Listener[Any], raw: RawHttp) -> None:
    with raw.open:
        await listener.serve(raw.handle)
    await listener.aclose()
    raw.closed.set()


SECRETS = {"TOKEN": "its-own"}


@pytest.mark.parametrize("era", [LEGACY, MODERN])
async def test_a_call_over_http_is_one_request_with_the_upstreams_own_credential(era: str) -> None:
    async with raw_http(era=era) as raw, running(raw.server, secrets=SECRETS) as upstream:
        assert upstream.failure is None
        assert (await upstream.call("refund", {"amount": None}, 5)).text == "hi"
        assert raw.calls == 1
        assert raw.requests[-1]["params"]["arguments"] == {"amount": None}
        assert all("authorization: bearer its-own" in head.lower() for head in raw.headers)


def broken_off(message: Any) -> bytes:
    return reply(b'{"jsonrpc": "2.0"', more="").replace(b"Content-Length: 17", b"Content-Length: 500")


ODD_ANSWERS: dict[str, tuple[Callable[[Any], bytes], str]] = {
    "case_81 a redirect that keeps the method": (
        lambda _: reply(b"", "307 Temporary Redirect", "Location: /mcp\r\n"),
        "HTTP 307, a redirect, which is never followed",
    ),
    "case_81 a redirect elsewhere": (
        lambda _: reply(b"", "302 Found", "Location: http://127.0.0.1:9/mcp\r\n"),
        "HTTP 302, a redirect, which is never followed",
    ),
    "an error without words": (
        lambda _: reply(b"<h1>no</h1>", "500 Oh", kind="text/html"),
        "answered HTTP 500",
    ),
    "a request for credentials": (
        lambda _: reply(b"", "401 Unauthorized", kind="text/plain"),
        "answered HTTP 401",
    ),
    "an answer that breaks off": (broken_off, "broke off"),
    "a closed connection": (lambda _: b"", "the connection failed"),
    "what is not JSON": (lambda _: reply(b"{"), "Failed to parse JSON"),
    "what is no result": (lambda m: said(m, {"nothing": 1}), "no tool result"),
    "too much": (lambda _: reply(b" " * (QUICK.frame_bytes + 1)), "more than 4194304 bytes"),
    "an empty event stream": (lambda _: reply(b"", kind="text/event-stream"), "without a response"),
    "accepted and never answered": (lambda _: reply(b"", "202 Accepted"), "HTTP 202 without a result"),
    "another type": (lambda _: reply(b"hi", kind="text/plain"), "HTTP 200 without a result"),
}


@pytest.mark.parametrize("odd", ODD_ANSWERS)
async def test_an_odd_answer_fails_its_call_after_one_request_and_no_other_call(odd: str) -> None:
    on_call, says = ODD_ANSWERS[odd]

    def answer(message: Any) -> bytes:
        if message["params"]["arguments"].get("sound"):
            return said(message, {"content": [{"type": "text", "text": "sound"}]})
        return on_call(message)

    async with raw_http(on_call=answer) as raw, running(raw.server, secrets=SECRETS) as upstream:
        with pytest.raises(UpstreamFailure) as failure:
            await upstream.call("refund", {}, 10)
        assert says in failure.value.reason
        assert failure.value.sent
        assert raw.calls == 1
        assert (await upstream.call("refund", {"sound": True}, 10)).text == "sound"


async def test_a_call_to_a_server_that_has_gone_is_certainly_not_sent() -> None:
    async with raw_http() as raw, running(raw.server, secrets=SECRETS) as upstream:
        assert (await upstream.call("refund", {}, 5)).text == "hi"
        raw.open.cancel()
        await raw.closed.wait()
        with pytest.raises(UpstreamFailure, match="cannot be reached") as failure:
            await upstream.call("refund", {}, 5)
        assert not failure.value.sent


async def test_a_server_that_is_not_there_is_a_clear_failure() -> None:
    async with raw_http() as raw:
        gone = raw.server
    async with running(gone, secrets=SECRETS, limits=replace(QUICK, restart_s=(60.0,))) as upstream:
        assert upstream.failure is not None
        assert "cannot be reached" in upstream.failure


@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_a_real_server_over_http_works_as_it_does_over_stdio(era: str, tmp_path: Path) -> None:
    seed(tmp_path / "desk.db")
    app = serve(OrderDesk(tmp_path / "desk.db")).streamable_http_app(json_response=era == "modern")
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve)
        while not server.started:
            await anyio.lowlevel.checkpoint()
        port = server.servers[0].sockets[0].getsockname()[1]
        async with running(HttpServer(f"http://127.0.0.1:{port}/mcp")) as upstream:
            result = await upstream.call("get_order", {"order_id": "o-1001"}, 10)
            assert "Mara Lindqvist" in result.text
        server.should_exit = True
