"""The target of a write, as its upstream tells it: which version it has, and how much would be touched."""

from __future__ import annotations

import json
from typing import Any

from tests.rooms.peers import Peer
from tests.rooms.stage import Room

HELD = "shop__change_held"


def now_it_is(room: Room, version: Any, rows: Any = 1) -> None:
    """What the upstream says of every item from now on."""
    room.stage.tell_upstream("")
    (room.stage.recording / "facts").write_text(json.dumps({"version": version, "rows": rows}))


async def test_case_13_a_target_that_changed_since_closes_the_approval_unspent(
    room: Room, peer: Peer, item: str
) -> None:
    now_it_is(room, "v1")
    run = await peer.open("held")
    asked = await room.approved(peer, run, HELD, item_id=item, price=5)
    request = room.request(asked.approval["request"])
    assert request.call.precondition == '{"rows":1,"version":"v1"}'
    now_it_is(room, "v2")
    changed = await peer.use(run, HELD, asked.token, item_id=item, price=5)
    assert changed.code == "target_changed"
    assert room.stage.effects(item) == []
    # Asked anew it is another request, for the target as it is now; and the first one is unspent.
    anew = await peer.use(run, HELD, item_id=item, price=5)
    assert anew.approval["request"] != request.id
    now_it_is(room, "v1")
    assert (await peer.use(run, HELD, anew.token, item_id=item, price=5)).code == "approval_pending"
    again = await room.approved(peer, run, HELD, item_id=item, price=5)
    counts, frames = room.stage.frames("count_item"), room.stage.frames()
    assert (await peer.use(run, HELD, again.token, item_id=item, price=5)).code == "done"
    assert (room.stage.frames("count_item"), room.stage.frames()) == (counts + 2, frames + 1)
    assert len(room.stage.effects(item)) == 1


async def test_case_12_a_write_that_would_touch_more_than_was_approved_is_refused_before(
    room: Room, peer: Peer, item: str
) -> None:
    now_it_is(room, 1, rows=3)
    run = await peer.open("held")
    asked = await room.approved(peer, run, HELD, item_id=item, price=5)
    shown = await room.ask("rita", "approval.show", request=asked.approval["request"])
    assert '"rows":3' in str(shown["call"])
    now_it_is(room, 1, rows=4)
    said = await peer.use(run, HELD, asked.token, item_id=item, price=5)
    assert said.code == "target_changed"
    assert room.request(asked.approval["request"]).state == "approved"
    assert room.stage.effects(item) == []
    now_it_is(room, 1, rows=3)
    assert (await peer.use(run, HELD, asked.token, item_id=item, price=5)).code == "done"


async def test_case_12_an_upstream_that_holds_to_the_count_itself_did_nothing(
    room: Room, peer: Peer, item: str
) -> None:
    """Where the tool takes a limit as an argument, it is approved like any other; its refusal is certain."""
    run = await peer.open("change")
    limited = {"item_id": item, "price": 5, "details": {"touch_at_most": 1}}
    asked = await room.approved(peer, run, **limited)
    room.stage.tell_upstream("refuse")
    said = await peer.use(run, "shop__change_item", asked.token, **limited)
    assert (said.code, said.body["status"]) == ("failed", "failed")
    assert room.stage.effects(item) == []


async def test_a_target_that_cannot_be_read_closes_nothing_and_opens_nothing(
    room: Room, peer: Peer, item: str
) -> None:
    now_it_is(room, 1)
    run = await peer.open("held")
    asked = await room.approved(peer, run, HELD, item_id=item, price=5)
    for unreadable in (
        "broken",
        "{}",
        '{"version": 1, "rows": -1}',
        '{"version": 1, "rows": "3"}',
        "no data",
    ):
        (room.stage.recording / "facts").write_text(unreadable)
        assert (await peer.use(run, HELD, asked.token, item_id=item, price=5)).code == "unavailable"
        assert (await peer.use(run, HELD, item_id=item, price=6)).code == "unavailable"
    assert room.stage.effects(item) == []
    now_it_is(room, 1)
    assert (await peer.use(run, HELD, asked.token, item_id=item, price=5)).code == "done"
    (room.stage.recording / "facts").write_text("broken")
    spent = await peer.use(run, HELD, asked.token, item_id=item, price=5)
    assert (spent.code, spent.body["status"]) == ("approval_spent", "succeeded")


async def test_a_tool_without_facts_costs_no_frame_more(room: Room, peer: Peer, item: str) -> None:
    run = await peer.open("change")
    counts = room.stage.frames("count_item")
    asked = await room.approved(peer, run, item_id=item, price=5)
    assert (await peer.use(run, "shop__change_item", asked.token, item_id=item, price=5)).code == "done"
    assert room.stage.frames("count_item") == counts
