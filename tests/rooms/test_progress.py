"""Progress and cancellation: who asks is told, and a call that is given up leaves no write half done."""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from server import progress
from tests.rooms.peers import Peer
from tests.rooms.stage import Room, until
from tests.rooms.wire import wired

CHANGE = "shop__change_item"


async def test_a_call_that_asks_for_progress_hears_of_it_until_it_is_answered(
    room: Room, peer: Peer, item: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "EVERY_S", 0.05)
    run = await peer.open("change")
    asked = await room.approved(peer, run, item_id=item, price=5)
    room.stage.tell_upstream("wait")
    heard: list[tuple[float, str | None]] = []

    async def told(progress: float, total: float | None, message: str | None) -> None:
        assert total is None
        heard.append((progress, message))
        if len(heard) == 3:
            room.stage.let_go()

    given = {"run_id": run, "tool": CHANGE, "arguments": {"item_id": item, "price": 5}}
    result = await peer.client.call_tool(
        "use_tool", {**given, "approval_token": asked.token}, progress_callback=told
    )
    assert result.structured_content is not None
    assert result.structured_content["code"] == "done"
    assert heard[0] == (0, "use_tool: being judged")
    assert [done for done, _ in heard] == sorted({done for done, _ in heard})
    assert all("not answered yet" in (message or "") for _, message in heard[1:])


async def test_an_answer_nobody_asked_progress_for_is_one_body(room: Room, peer: Peer, era: str) -> None:
    _, key = await room.agent()
    async with wired(room.url, key, "auto") as wire:
        plain = await wire.call("open_run", '{"workflow": "change"}')
        asked = await wire.call("open_run", '{"workflow": "change"}', meta={"progressToken": 1})
    assert plain.json()["result"]["structuredContent"] == asked.json()["result"]["structuredContent"]
    assert plain.headers["content-type"] == "application/json"
    assert asked.headers["content-type"].startswith("text/event-stream")  # and its last event is the answer


async def test_case_53_a_write_that_is_cancelled_is_whole(room: Room, peer: Peer, item: str) -> None:
    run = await peer.open("change")
    asked = await room.approved(peer, run, item_id=item, price=5)
    room.stage.tell_upstream("wait")
    frames = room.stage.frames()

    async def told(progress: float, total: float | None, message: str | None) -> None:
        assert progress >= 0

    given = {"run_id": run, "tool": CHANGE, "arguments": {"item_id": item, "price": 5}}
    call = partial(
        peer.client.call_tool, "use_tool", {**given, "approval_token": asked.token}, progress_callback=told
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        await until(lambda: room.stage.frames() == frames + 1)
        tasks.cancel_scope.cancel()
    room.stage.let_go()
    await until(lambda: room.request(asked.approval["request"]).state == "succeeded")
    assert len(room.stage.effects(item)) == 1
    assert (await peer.use(run, CHANGE, asked.token, item_id=item, price=5)).code == "approval_spent"
