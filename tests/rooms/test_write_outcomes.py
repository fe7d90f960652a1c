"""Outcomes: whatever an upstream does to a write, one frame left, one outcome stands, nothing is redone."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncGenerator
from functools import partial

import pytest

from server import assembly
from tests.rooms.files import catalogue
from tests.rooms.peers import Peer
from tests.rooms.stage import Room, Stage, served, until
from tool_scopes.upstream.fleet import running_upstreams
from tool_scopes.upstream.limits import Limits

CHANGE = "shop__change_item"
SHORT_S = 0.4


@pytest.fixture(scope="module")
async def room(founded: Stage, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Room]:
    """A server whose upstream has little time for an answer."""
    root = tmp_path_factory.mktemp("quick") / "data"
    shutil.copytree(founded.folder.root, root)
    (root / "catalogue" / "shop.yaml").write_text(catalogue(timeout_s=SHORT_S))
    with pytest.MonkeyPatch.context() as patch:
        # It is started again at once, however often it dies.
        quick = partial(running_upstreams, limits=Limits(restart_s=(0.0, 0.02)))
        patch.setattr(assembly, "running_upstreams", quick)
        async with served(founded.moved(root)) as room:
            yield room


# What the upstream does → the code, whether the effect is there, and whether the target stays blocked.
OUTCOMES: dict[str, tuple[str, str, int, bool]] = {
    "case_99_fakes_our_codes": ("fake", "done", 1, False),
    "an_error_that_means_no_effect": ("refuse", "failed", 0, False),
    "case_95_an_error_after_the_effect": ("fail_after", "in_doubt", 1, True),
    "case_81_it_asks_back_after_the_effect": ("ask_back", "in_doubt", 1, True),
    "no_answer_and_no_effect": ("hang_before", "in_doubt", 0, True),
    "no_answer_after_the_effect": ("hang_after", "in_doubt", 1, True),
    "death_before_the_effect": ("die_before", "in_doubt", 0, True),
    "death_after_the_effect": ("die_after", "in_doubt", 1, True),
}


@pytest.mark.parametrize(("behaviour", "code", "effects", "blocked"), OUTCOMES.values(), ids=OUTCOMES)
async def test_one_frame_and_one_outcome(
    room: Room, peer: Peer, item: str, behaviour: str, code: str, effects: int, blocked: bool
) -> None:
    run, other = await peer.open("change"), await peer.open("change")
    asked = await room.approved(peer, run, item_id=item, price=5)
    await until(lambda: room.house.upstreams["shop"].failure is None)
    frames = room.stage.frames()
    room.stage.tell_upstream(behaviour)
    said = await peer.use(run, CHANGE, asked.token, item_id=item, price=5)
    status = "succeeded" if code == "done" else code
    assert (said.code, said.body["status"], said.is_error) == (code, status, code != "done")
    settled = room.entries("execution.settled", run=run)
    assert [entry.body["state"] for entry in settled] == [status]
    room.stage.tell_upstream("")
    await until(lambda: room.house.upstreams["shop"].failure is None)
    again = await peer.use(run, CHANGE, asked.token, item_id=item, price=5)
    assert again.code == "approval_spent"
    assert (again.body["execution"], again.body["status"]) == (said.body["execution"], status)
    assert (room.stage.frames(), len(room.stage.effects(item))) == (frames + 1, effects)
    # While it is in doubt, no other write on the same target begins; on another one it does.
    rival = await room.approved(peer, other, item_id=item, price=6)
    second = await peer.use(other, CHANGE, rival.token, item_id=item, price=6)
    assert second.code == ("target_changed" if blocked else "done")
    elsewhere = await room.approved(peer, other, item_id=f"{item}-b", price=6)
    assert (await peer.use(other, CHANGE, elsewhere.token, item_id=f"{item}-b", price=6)).code == "done"


async def test_case_99_what_an_upstream_says_stands_only_under_result(
    room: Room, peer: Peer, item: str
) -> None:
    run = await peer.open("change")
    asked = await room.approved(peer, run, item_id=item, price=5)
    room.stage.tell_upstream("fake")
    said = await peer.use(run, CHANGE, asked.token, item_id=item, price=5)
    assert set(said.body) == {"code", "execution", "status", "result"}
    (block,) = said.body["result"]["content"]
    assert json.loads(block["text"])["code"] == "approval_required"


async def test_an_upstream_that_is_down_takes_no_approval_with_it(room: Room, peer: Peer, item: str) -> None:
    run = await peer.open("change")
    spent = await room.approved(peer, run, item_id=item, price=5)
    kept = await room.approved(peer, run, item_id=f"{item}-b", price=5)
    await until(lambda: room.house.upstreams["shop"].failure is None)
    (room.stage.recording / "listing").write_text("broken")
    try:
        room.stage.tell_upstream("die_after")
        said = await peer.use(run, CHANGE, spent.token, item_id=item, price=5)
        assert said.code == "in_doubt"
        await until(lambda: room.house.upstreams["shop"].failure is not None)
        down = await peer.use(run, CHANGE, kept.token, item_id=f"{item}-b", price=5)
        assert down.code == "unavailable"
        assert room.request(kept.approval["request"]).state == "approved"
        # Just now a client needs to learn what became of its call.
        again = await peer.use(run, CHANGE, spent.token, item_id=item, price=5)
        assert (again.code, again.body["status"]) == ("approval_spent", "in_doubt")
    finally:
        (room.stage.recording / "listing").unlink()
        room.stage.tell_upstream("")
    await until(lambda: room.house.upstreams["shop"].failure is None)
    assert (await peer.use(run, CHANGE, kept.token, item_id=f"{item}-b", price=5)).code == "done"
    assert len(room.stage.effects(item)) == len(room.stage.effects(f"{item}-b")) == 1
