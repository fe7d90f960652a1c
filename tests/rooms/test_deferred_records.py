"""With `records = "deferred"`, a read or a refusal does not wait for its record, and nothing else changes."""

from __future__ import annotations

import pytest

from tests.rooms.stage import Stage, served

CHANGE = "shop__change_item"


@pytest.fixture(autouse=True)
def deferred(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAILIWICK_RECORDS", "deferred")


async def test_with_deferred_records_what_was_just_answered_can_be_cited(
    stage: Stage,
) -> None:
    async with served(stage) as room:
        _, key = await room.agent()
        async with room.peer(key) as peer:
            run = await peer.open("repair")
            for _ in range(5):
                observed = await peer.use(run, "shop__read_item")
                cited = await peer.call("cite", run_id=run, source=observed.observation)
                assert cited.code == "done"
            refused = await peer.use(run, CHANGE, item_id="a", price=5)
            assert refused.is_error
        await room.house.ledger.settled()
        assert len(room.entries("call.answered", run=run)) == 5
        assert room.entries("call.refused", run=run)
        assert room.house.ledger.verify().whole


async def test_a_write_refused_again_waits_for_no_transaction_and_says_the_same(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(stage) as room:
        _, key = await room.agent()
        async with room.peer(key) as peer:
            run = await peer.open("change")
            asked = await peer.use(run, CHANGE, item_id="a", price=5)
            with monkeypatch.context() as without:
                without.setattr(room.house.ledger, "transact", _never)
                again = await peer.use(run, CHANGE, item_id="a", price=5)
            assert (again.code, again.token) == ("approval_required", asked.token)
            other = await peer.use(run, CHANGE, item_id="a", price=6)
            assert other.approval["request"] != asked.approval["request"]
        await room.house.ledger.settled()
        assert len(room.entries("approval.requested", run=run)) == 2
        assert len(room.entries("call.refused", run=run)) == 3
        assert room.house.ledger.verify().whole


async def test_what_bars_a_write_is_said_before_its_open_request(stage: Stage) -> None:
    async with served(stage) as room:
        _, key = await room.agent()
        async with room.peer(key) as peer:
            run = await peer.open("change")
            assert (await peer.use(run, CHANGE, item_id="a", price=5)).code == "approval_required"
            await room.ask("olga", "freeze", reason="a look around", tool=CHANGE)
            assert (await peer.use(run, CHANGE, item_id="a", price=5)).code == "frozen"


async def _never(*_: object) -> None:
    raise AssertionError("a transaction was waited for")
