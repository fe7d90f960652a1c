"""Faults at the wire: whatever a peer does to its own connection, nobody else waits, and nothing is told."""

from __future__ import annotations

import resource
import signal
import socket
from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import anyio
import pytest
from anyio import to_thread
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.canonical import JsonObject
from server import patience
from tests.rooms.peers import connected
from tests.rooms.processes import Served, server_process
from tests.rooms.stage import Room, Stage, served

CHANGE = "shop__change_item"
JSON = b"content-type: application/json\r\naccept: application/json, text/event-stream\r\n"


def dialled(url: str) -> socket.socket:
    """A bare connection to the server."""
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=30)


def sent(url: str, raw: bytes, *, ends: bool = False) -> bytes:
    """Send some bytes on a connection of their own; all that comes back until the server ends it. `ends`: our
    half of the connection is closed behind them.
    """
    with dialled(url) as connection:
        got = bytearray()
        try:
            connection.sendall(raw)
            if ends:
                connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65_536):
                got += chunk
        except ConnectionError:  # it ended it before all was read
            pass
        return bytes(got)


def head(url: str, key: str, length: int | str, method: bytes = b"POST", path: bytes = b"/mcp") -> bytes:
    """The head of a request with a credential."""
    host = urlsplit(url).netloc.encode()
    named = b"transfer-encoding: chunked" if length == "chunked" else f"content-length: {length}".encode()
    own = b"host: " + host + b"\r\nauthorization: Bearer " + key.encode() + b"\r\nconnection: close\r\n"
    return method + b" " + path + b" HTTP/1.1\r\n" + own + JSON + named + b"\r\n\r\n"


CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}'
BODIES: dict[str, tuple[bytes, set[int]]] = {
    "nothing": (b"", {400}),
    "no JSON": (b"{", {400}),
    "not UTF-8": (b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', {400}),
    "a batch": (b"[" + CALL + b"," + CALL + b"]", {400}),
    "a number": (b"7", {400}),
    "a null id": (CALL.replace(b'"id":1', b'"id":null'), {400}),
    "an id that is an object": (CALL.replace(b'"id":1', b'"id":{}'), {400}),
    "another version of JSON-RPC": (CALL.replace(b'"2.0"', b'"1.0"'), {400}),
    "deep nesting": (b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":' + b"[" * 100_000, {400}),
    "an unknown method": (CALL.replace(b"tools/list", b"tools/own_everything"), {200, 400, 404}),
    "a method of ours that is none": (CALL.replace(b"tools/list", b"_call_tool"), {200, 400, 404}),
    "more than a mebibyte": (b" " * 1_100_000, {413}),
}


def is_a_plain_refusal(answer: bytes, statuses: set[int]) -> None:
    """A status of these, and nothing of what happened inside."""
    assert answer.startswith(b"HTTP/1.1 "), answer[:200]
    assert int(answer.split(b" ", 2)[1]) in statuses, answer[:300]
    for inside in (b"Traceback", b'File "', b"site-packages", b"sqlite", b"Error("):
        assert inside not in answer


@pytest.mark.parametrize(("body", "statuses"), BODIES.values(), ids=BODIES)
async def test_a_body_that_cannot_be_used_is_refused_and_nothing_of_the_inside_is_told(
    room: Room, body: bytes, statuses: set[int]
) -> None:
    _, key = await room.agent()
    answer = await to_thread.run_sync(sent, room.url, head(room.url, key, len(body)) + body)
    is_a_plain_refusal(answer, statuses)
    chunked = b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n" if body else b"0\r\n\r\n"
    answer = await to_thread.run_sync(sent, room.url, head(room.url, key, "chunked") + chunked)
    is_a_plain_refusal(answer, statuses)


@pytest.mark.parametrize("method", [b"PUT", b"PATCH", b"OPTIONS", b"TRACE", b"CONNECT", b"BREW"])
async def test_a_method_that_is_not_spoken_is_refused(room: Room, method: bytes) -> None:
    _, key = await room.agent()
    answer = await to_thread.run_sync(sent, room.url, head(room.url, key, 2, method) + b"{}")
    is_a_plain_refusal(answer, {400, 404, 405, 406})


async def test_a_head_that_does_not_end_is_refused_for_its_length(room: Room) -> None:
    endless = b"POST /mcp HTTP/1.1\r\nx: " + b"x" * 400_000
    answer = await to_thread.run_sync(sent, room.url, endless)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431")
    await answers(room.url, await agent_of(room))


async def test_a_request_that_never_becomes_whole_is_hung_up_on(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await agent_of(room)
    monkeypatch.setattr(patience, "REQUEST_S", 0.2)
    half = head(room.url, key, 500) + b'{"jsonrpc"'
    for raw in (b"", b"POST /mcp HT", head(room.url, key, 9)[:60], half):
        assert await to_thread.run_sync(sent, room.url, raw) == b""


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=300),
    st.sampled_from(
        [b"", b"POST /mcp HTTP/1.1\r\n", b"GET /approvals HTTP/1.1\r\n", b"POST /operations/x HTTP/1.1\r\n"]
    ),
)
def test_any_bytes_get_a_refusal_or_silence(standing: str, raw: bytes, first: bytes) -> None:
    host = urlsplit(standing).netloc.encode()
    answer = sent(
        standing, first + b"host: " + host + b"\r\n" + raw + b"\r\n\r\n" if first else raw, ends=True
    )
    if answer:
        is_a_plain_refusal(answer, set(range(200, 500)))


@pytest.fixture(scope="module")
def standing(founded: Stage, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The URL of a server on a thread of its own."""
    import shutil

    from anyio.from_thread import start_blocking_portal

    root = tmp_path_factory.mktemp("standing") / "data"
    shutil.copytree(founded.folder.root, root)
    stage = founded.moved(root)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(served(stage)) as room:
        yield room.url


async def agent_of(room: Room) -> str:
    return (await room.agent())[1]


async def answers(url: str, key: str) -> None:
    """Somebody else's whole conversation: greeted, a run opened, its step read."""
    with anyio.fail_after(60):
        async with connected(url, key) as peer:
            run = await peer.open("change")
            assert (await peer.call("current_step", run_id=run)).code == "done"


@contextmanager
def many(url: str, count: int) -> Generator[list[socket.socket]]:
    """Connections that were made and say nothing, say half a request, or ask and never read."""
    with ExitStack() as held:
        connections: list[socket.socket] = []
        for number in range(count):
            connection = held.enter_context(dialled(url))
            connections.append(connection)
            if number % 3:
                whole = head(url, "bwk_" + "0" * 26, len(CALL)) + CALL
                connection.sendall(whole if number % 3 == 1 else whole[:70])
        yield connections


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_ten_thousand_idle_half_open_and_unread_connections_hold_nobody_up(stage: Stage) -> None:
    # Each takes a descriptor at either end; what the system allows beyond that is left for everything else.
    count = min(10_000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 1_000)
    assert count >= 20, "the system allows too few descriptors to show anything"
    async with server_process(stage) as at:
        key = str((await at.ask("olga", "agent.add", agent="bot"))["key"])
        held = many(at.url, count)
        connections = await to_thread.run_sync(held.__enter__)
        try:
            assert len(connections) == count
            await answers(at.url, key)
        finally:
            await to_thread.run_sync(held.__exit__, None, None, None)
        await answers(at.url, key)


async def keep_writing(at: Served, key: str, name: str, done: Counter[str], enough: anyio.Event) -> None:
    """An agent that writes one approved call after the other until its server is gone."""
    try:
        async with connected(at.url, key) as peer:
            run = await peer.open("change")
            for number in range(100):
                given: JsonObject = {"item_id": f"{name}-{number}", "price": 5}
                asked = await peer.use(run, CHANGE, **given)
                await at.judge("rita", asked.approval["request"])
                said = await peer.use(run, CHANGE, asked.token, **given)
                done[said.code] += 1
                if done["done"] == 6:
                    enough.set()
                if said.code != "done":
                    return
    except Exception:  # noqa: BLE001 - however a client tells it: its server is gone
        done["gone"] += 1


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "kill -9"])
async def test_a_server_that_is_ended_under_load_leaves_every_write_whole_or_in_doubt(
    stage: Stage, end: signal.Signals
) -> None:
    done, enough, code = Counter[str](), anyio.Event(), None
    async with server_process(stage) as at:
        key = str((await at.ask("olga", "agent.add", agent="bot"))["key"])
        async with anyio.create_task_group() as tasks:
            for name in ("a", "b", "c", "d"):
                tasks.start_soon(keep_writing, at, key, name, done, enough)
            with anyio.fail_after(90):
                await enough.wait()
                at.process.send_signal(end)
                code = await at.process.wait()
        assert code == (0 if end == signal.SIGTERM else -signal.SIGKILL)
    async with served(stage) as room:
        begun = {str(entry.body["execution"]) for entry in room.entries("execution.begun")}
        settled = {
            str(entry.body["execution"]): str(entry.body["state"])
            for entry in room.entries("execution.settled")
        }
        effects = Counter(effect["item_id"] for effect in stage.effects())
        assert room.house.ledger.verify().whole
    # Nothing twice, no frame without its `begun`, and every answer that a client got is in the book.
    assert set(effects.values()) == {1}
    assert len(effects) <= stage.frames() <= len(begun)
    succeeded = sum(state == "succeeded" for state in settled.values())
    assert done["done"] <= succeeded <= len(effects)
    if end == signal.SIGTERM:
        assert settled.keys() == begun
        assert set(settled.values()) == {"succeeded"}
        assert stage.frames() == len(effects) == len(begun)
