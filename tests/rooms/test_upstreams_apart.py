"""Upstreams that fail, through a real client: who called them hears of it, and nobody else does."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from ledger.canonical import JsonObject
from server import assembly
from tests.rooms.peers import Peer
from tests.rooms.stage import Room, Stage, served, until
from tests.tool_scopes.raw_upstream import MODERN
from tests.tool_scopes.test_upstream_http import RawHttp, raw_http, said
from tests.tool_scopes.upstreams import PROGRAM
from tool_scopes.upstream.fleet import running_upstreams
from tool_scopes.upstream.limits import DEFAULT
from tool_scopes.upstream.servers import HttpServer, Server, StdioServer
from tool_scopes.upstream.tools import UpstreamTool, fingerprint

FAILING = ("die", "hang", "flood", "broken_line", "endless_line", "huge", "not_a_number")
SECRET = "its-own-word"


def add_upstream(stage: Stage, name: str, server: Server, tools: dict[str, UpstreamTool], head: str) -> None:
    """Write an upstream's catalogue file, in which each tool is accepted as a read."""
    views = {
        tool.name: {"effect": "read", "fingerprint": fingerprint(server.endpoint, tool)}
        for tool in tools.values()
    }
    whole = f"upstream: {name}\n{head}tools: {json.dumps(views)}\n"
    (stage.folder.catalogue_dir / f"{name}.yaml").write_text(whole)


@pytest.fixture
async def web() -> AsyncGenerator[RawHttp]:
    """An upstream over HTTP that fails every call but the sound ones."""

    def answer(message: dict[str, Any]) -> bytes:
        sound = bool(message["params"]["arguments"])
        return said(message, {"content": [{"type": "text", "text": "hi"}]}) if sound else b""

    async with raw_http(era=MODERN, on_call=answer) as raw:
        yield raw


@pytest.fixture
async def apart(stage: Stage, web: RawHttp, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Room]:
    """A server with the shop, an upstream that fails in many ways, and one over HTTP."""
    impatient = partial(running_upstreams, limits=replace(DEFAULT, restart_s=(0.05,)))
    monkeypatch.setattr(assembly, "running_upstreams", impatient)
    any_object: JsonObject = {"type": "object"}
    names = (*FAILING, "echo")
    raw = {name: UpstreamTool(name, "As its name says.", any_object) for name in names}
    command = ("${PYTHON}", str(PROGRAM))
    head = f"transport: stdio\ncommand: {json.dumps(command)}\ntimeout: 2\n"
    add_upstream(stage, "raw", StdioServer(command), raw, head)
    refund = {"refund": UpstreamTool("refund", "", any_object)}
    told = f"transport: http\nurl: {web.server.url}\nheaders: {{Authorization: 'Bearer ${{WEB_TOKEN}}'}}\n"
    add_upstream(stage, "web", HttpServer(web.server.url), refund, told)
    stage.folder.secrets_file.write_text(f"WEB_TOKEN={SECRET}\n")
    stage.folder.secrets_file.chmod(0o600)
    tools = [*(f"raw__{name}" for name in names), "web__refund"]
    workflow = {
        "workflow": "odd",
        "version": 1,
        "purpose": "To try.",
        "input": {"type": "object"},
        "start": "try",
        "steps": {"try": {"kind": "read", "purpose": "To try.", "tools": tools}},
    }
    (stage.folder.workflows_dir / "odd.yaml").write_text(json.dumps(workflow))
    async with served(stage) as room:
        yield room


async def test_each_way_to_fail_costs_its_caller_a_clear_error_and_nobody_else_anything(
    apart: Room, web: RawHttp, tmp_path: Path
) -> None:
    _, key = await apart.agent()
    _, other_key = await apart.agent()
    async with apart.peer(key) as caller, apart.peer(other_key, "legacy") as other:
        odd, repair = await caller.open("odd"), await other.open("repair")
        working = [0]

        async def go_on() -> None:
            while True:
                answer = await other.use(repair, "shop__read_item")
                assert answer.code == "done", answer
                working[0] += 1

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(go_on)
            for name in FAILING:
                before = working[0]
                await ready(apart, caller, odd)
                given = {"size": 2_000_000} if name == "huge" else {}
                answer = await caller.use(odd, f"raw__{name}", **given)
                assert (answer.code, answer.is_error) == ("unavailable", True), (name, answer)
                assert set(answer.body) == {"code", "message"}
                await until(lambda before=before: working[0] > before)  # others do not stand still
            assert (await caller.use(odd, "web__refund")).code == "unavailable"
            assert (await caller.use(odd, "web__refund", sound=True)).code == "done"
            await ready(apart, caller, odd)
            tasks.cancel_scope.cancel()
    refused = [entry.body for entry in apart.entries("call.refused") if entry.body["act"] != "raw__echo"]
    reasons = [str(body["reason"]) for body in refused]
    assert len(reasons) == len(FAILING) + 1
    # On a busy machine some are only late, which is said too; what each is told is tested with the upstreams.
    assert all(reason.startswith("upstream ") for reason in reasons)
    # What reached the upstream over HTTP is its own credential, and neither an agent's nor a server's.
    assert all(f"authorization: bearer {SECRET}" in head.lower() for head in web.headers)
    reached = "".join(web.headers) + json.dumps(web.requests)
    assert not any(word in reached for word in (key, other_key, "bwk_", "bailiwick_"))


async def ready(room: Room, peer: Peer, run: str) -> None:
    """The failing upstream is there again, and works."""
    with anyio.fail_after(30):
        while (answer := await peer.use(run, "raw__echo")).code != "done":
            assert answer.code == "unavailable", (answer, room.house.scopes.offering.held_back)
            await anyio.sleep(0.02)
