"""Evidence that changed under a run: it reads anew, asks anew, and people sign knowing what had changed."""

from __future__ import annotations

from functools import partial

from anyio import to_thread

from tests.rooms.peers import Peer
from tests.rooms.stage import Room, publish_text

CHANGE = "shop__change_item"
TEXT = "---\ncollection: rules\n---\n# Seals {0}\n\nSeal {0} is fixed to the lid of crate {0}, not its side."


async def test_case_45_a_run_whose_evidence_changed_reads_it_anew_and_asks_anew(
    room: Room, peer: Peer, item: str
) -> None:
    text = TEXT.format(item)
    publishing = partial(publish_text, room.house.store, room.house.ledger, f"seals-{item}.md")
    await to_thread.run_sync(publishing, text)
    run = await peer.open("change", request=f"Where is seal {item} fixed to crate {item}?")
    first = await peer.call("read_context", run_id=run)
    assert any(one["id"].startswith(f"seals-{item}@1") for one in first.body["items"])
    asked = await room.approved(peer, run, item_id=item, price=5)
    await to_thread.run_sync(publishing, text.replace("to the lid", "to the base"))
    # Neither with the old approval, nor by asking again as if nothing had happened.
    assert (await peer.use(run, CHANGE, asked.token, item_id=item, price=5)).code == "evidence_changed"
    assert (await peer.use(run, CHANGE, item_id=item, price=5)).code == "evidence_changed"
    # Reading something else is not reading it anew.
    await peer.call("read_context", run_id=run, need="When may a price change?")
    assert (await peer.use(run, CHANGE, item_id=item, price=5)).code == "evidence_changed"

    anew = await peer.call("read_context", run_id=run)
    quotes = [one["id"] for one in anew.body["items"]]
    assert any(one.startswith(f"seals-{item}@2") for one in quotes)
    assert not any(one.startswith(f"seals-{item}@1") for one in quotes)
    assert (await peer.use(run, CHANGE, asked.token, item_id=item, price=5)).code == "evidence_changed"
    fresh = await peer.use(run, CHANGE, item_id=item, price=5)
    assert fresh.code == "approval_required"
    request = fresh.approval["request"]
    assert request != asked.approval["request"]
    shown = await room.ask("rita", "approval.show", request=request)
    assert shown["known_changed"] == [f"seals-{item}@1"]
    assert shown["moved"] == []
    await room.judge("rita", request)
    assert (await peer.use(run, CHANGE, fresh.token, item_id=item, price=5)).code == "done"
    (reread,) = room.entries("evidence.reread", run=run)
    assert reread.body["changed"] == [f"seals-{item}@1"]
    assert len(room.stage.effects(item)) == 1


async def test_case_45_what_changes_after_the_second_asking_closes_that_too(
    room: Room, peer: Peer, item: str
) -> None:
    text = TEXT.format(item)
    publishing = partial(publish_text, room.house.store, room.house.ledger, f"seals-{item}.md")
    await to_thread.run_sync(publishing, text)
    run = await peer.open("change", request=f"Where is seal {item} fixed to crate {item}?")
    await peer.call("read_context", run_id=run)
    await to_thread.run_sync(publishing, text.replace("to the lid", "to the base"))
    await peer.call("read_context", run_id=run)
    asked = await room.approved(peer, run, item_id=item, price=5)
    await to_thread.run_sync(publishing, text.replace("to the lid", "to the top"))
    shown = await room.ask("rita", "approval.show", request=asked.approval["request"])
    assert [str(one).partition(":")[0] for one in shown["moved"]] == ["evidence_changed"]  # type: ignore[union-attr]
    assert (await peer.use(run, CHANGE, asked.token, item_id=item, price=5)).code == "evidence_changed"
    assert room.stage.effects(item) == []
