"""Lists and calls follow the upstreams of a running server: what changed is gone, what is late comes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, cast

import pytest

from server import assembly
from tests.rooms.peers import ERAS, Peer
from tests.rooms.stage import Room, Stage, served, until
from tool_scopes.upstream.fleet import running_upstreams
from tool_scopes.upstream.limits import DEFAULT

CHANGE = "shop__change_item"
AT_URL = "/change/act"


@pytest.fixture(autouse=True)
def attentive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers that look again at once, and start again at once, so that no test has to wait."""
    limits = replace(DEFAULT, look_pause_s=0.0, restart_s=(0.05,))
    monkeypatch.setattr(assembly, "running_upstreams", partial(running_upstreams, limits=limits))


async def change_the_tools(room: Room, peer: Peer, listing: str) -> None:
    """The upstream lists its tools anew; by an ordinary read it says so."""
    logged = len(room.entries("upstream.changed"))
    (room.stage.recording / "listing").write_text(listing)
    (room.stage.recording / "tell").touch()
    reader = await peer.open("repair")
    assert (await peer.use(reader, "shop__read_item")).code == "done"
    await until(lambda: len(room.entries("upstream.changed")) == logged + 1)


async def held_back(room: Room) -> dict[str, str | None]:
    """Why each view of the shop cannot be used, as an admin is told."""
    listed: Any = await room.ask("olga", "upstream.list")
    return {view["view"]: view["held_back"] for view in listed["upstreams"][0]["views"]}


@pytest.mark.parametrize(("era", "change"), list(zip(ERAS, ("other_words", "other_default"), strict=True)))
async def test_case_66_a_tool_that_changes_under_a_running_server_is_gone_from_every_list_and_call(
    stage: Stage, era: str, change: str
) -> None:
    async with served(stage) as room:
        _, key = await room.agent()
        async with room.peer(key, era) as desk, room.peer(key, era, AT_URL) as at_url:
            run = await desk.open("change")
            asked = await room.approved(desk, run, item_id="i-1", price=5)
            told = await desk.call("current_step", run_id=run, with_pass=True)
            async with room.peer(str(told.body["step_pass"]), era) as within:
                before = await at_url.names(), await within.names()
                assert all(CHANGE in names for names in before)

                await change_the_tools(room, desk, change)
                assert (
                    await desk.use(run, CHANGE, asked.token, item_id="i-1", price=5)
                ).code == "unknown_tool"
                for peer in (at_url, within):
                    assert CHANGE not in await peer.names()
                    named = {} if peer is within else {"run_id": run}
                    said = await peer.call(CHANGE, **named, item_id="i-1", price=5)
                    assert said.error == (-32602, f"Unknown tool: {CHANGE}")
                told = await desk.call("current_step", run_id=run)
                assert told.body["tools"] == []
                held = await held_back(room)
                assert "is not what was accepted" in str(held[CHANGE])
                assert held["shop__read_item"] is None

                # As it was accepted, it is back, and the approval is as good as it was.
                await change_the_tools(room, desk, "")
                assert (await at_url.names(), await within.names()) == before
                done = await desk.use(run, CHANGE, asked.token, item_id="i-1", price=5)
                assert done.code == "done"
        assert stage.frames() == len(stage.effects("i-1")) == 1
        gone, back = (cast("Any", entry.body) for entry in room.entries("upstream.changed"))
        assert gone["differs"]["change_item"].startswith("sha256:")
        assert back["differs"] == {}
        assert back["offered"] >= gone["offered"] + 5


async def test_an_upstream_that_starts_late_brings_its_tools_when_it_is_there(stage: Stage) -> None:
    stage.recording.mkdir(exist_ok=True)
    (stage.recording / "listing").write_text("broken")
    async with served(stage) as room:
        _, key = await room.agent()
        async with room.peer(key) as desk, room.peer(key, path=AT_URL) as at_url:
            run = await desk.open("change")
            assert CHANGE not in await at_url.names()
            assert (await desk.use(run, CHANGE, item_id="i-1", price=5)).code == "unknown_tool"
            assert "it ended with status 4" in str((await held_back(room))[CHANGE])
            (stage.recording / "listing").unlink()
            await until(lambda: room.house.upstreams["shop"].failure is None)
            assert CHANGE in await at_url.names()
            assert (await desk.use(run, CHANGE, item_id="i-1", price=5)).code == "approval_required"
        (entry,) = room.entries("upstream.changed")
        assert entry.body["differs"] == {}


async def test_an_upstream_that_is_down_keeps_its_tools_in_the_lists(stage: Stage) -> None:
    async with served(stage) as room:
        _, key = await room.agent()
        async with room.peer(key) as desk, room.peer(key, path=AT_URL) as at_url:
            run = await desk.open("change")
            asked = await room.approved(desk, run, item_id="i-1", price=5)
            (stage.recording / "listing").write_text("broken")
            stage.tell_upstream("die_before")
            assert (await desk.use(run, CHANGE, asked.token, item_id="i-1", price=5)).code == "in_doubt"
            await until(lambda: room.house.upstreams["shop"].failure is not None)
            assert CHANGE in await at_url.names()
            assert (await desk.use(await desk.open("repair"), "shop__read_item")).code == "unavailable"
            assert room.entries("upstream.changed") == []
