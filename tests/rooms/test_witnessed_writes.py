"""Rolled back, copied, away, out of step: no write happens that a witness does not know of."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from ledger.errors import LedgerDamaged, LedgerUnavailable
from ledger.heads import make_head
from ledger.witness_file import keep, read_kept
from server.sending import OperationFailed
from tests.rooms.clock import Clock
from tests.rooms.stage import Room, Stage, served

CHANGE = "shop__change_item"


@pytest.fixture
def witness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a witness outside the data folder, which the servers of this test depend on."""
    (tmp_path / "elsewhere").mkdir()
    place = tmp_path / "elsewhere" / "heads.json"
    monkeypatch.setenv("BAILIWICK_WITNESS", str(place))
    return place


async def test_a_write_is_done_once_its_head_is_witnessed(stage: Stage, witness: Path) -> None:
    async with served(stage) as room:
        _, key = await room.agent()
        async with room.peer(key) as peer:
            run = await peer.open("change")
            asked = await room.approved(peer, run, item_id="a", price=5)
            said = await peer.use(run, CHANGE, asked.token, item_id="a", price=5)
        assert said.code == "done"
        (begun,) = room.entries("execution.begun")
        known = read_kept(witness)
        assert known is not None
        assert known.size >= begun.seq
    assert len(stage.effects("a")) == 1


async def test_case_51_without_its_witness_a_write_is_unavailable_and_its_approval_unspent(
    stage: Stage, witness: Path
) -> None:
    async with served(stage) as room:
        _, key = await room.agent()
        async with room.peer(key) as peer:
            run = await peer.open("change")
            first = await room.approved(peer, run, item_id="a", price=5)
            asked = await room.approved(peer, run, item_id="b", price=5)
            away = witness.parent.rename(witness.parent.with_name("away"))
            lost = await peer.use(run, CHANGE, first.token, item_id="a", price=5)
            assert (lost.code, lost.body["status"]) == ("unavailable", "failed")
            for _ in range(2):
                said = await peer.use(run, CHANGE, asked.token, item_id="b", price=5)
                assert said.code == "unavailable"
                assert room.request(asked.approval["request"]).state == "approved"
            assert stage.frames() == 0
            away.rename(witness.parent)
            done = await peer.use(run, CHANGE, asked.token, item_id="b", price=5)
            assert done.code == "done"
            spent = await peer.use(run, CHANGE, first.token, item_id="a", price=5)
            assert (spent.code, spent.body["status"]) == ("approval_spent", "failed")
    assert (len(stage.effects("a")), len(stage.effects("b"))) == (0, 1)


async def test_case_83_of_a_copied_folder_with_both_running_one_spends(
    stage: Stage, witness: Path, tmp_path: Path
) -> None:
    async with served(stage) as room:
        _, key = await room.agent()
        async with room.peer(key) as peer:
            run = await peer.open("change")
            asked = await room.approved(peer, run, item_id="a", price=5)
    shutil.copytree(stage.folder.root, tmp_path / "copy")
    copy = stage.moved(tmp_path / "copy")
    codes: list[str] = []
    async with served(stage) as one, served(copy) as other:
        for room in (one, other):
            async with room.peer(key) as peer:
                said = await peer.use(run, CHANGE, asked.token, item_id="a", price=5)
                codes.append(said.code)
    assert codes == ["done", "unavailable"]
    assert len(stage.effects("a")) + len(copy.effects("a")) == 1


async def test_case_60_an_older_copy_of_the_ledger_does_not_start(stage: Stage, tmp_path: Path) -> None:
    ledger = stage.folder.root / "ledger.sqlite3"
    async with served(stage):
        pass
    with closing(sqlite3.connect(ledger)) as live, closing(sqlite3.connect(tmp_path / "old.db")) as old:
        live.backup(old)
    async with served(stage) as room:
        _, key = await room.agent()
        async with room.peer(key) as peer:
            run = await peer.open("change")
            asked = await room.approved(peer, run, item_id="a", price=5)
            assert (await peer.use(run, CHANGE, asked.token, item_id="a", price=5)).code == "done"
    for part in ("ledger.sqlite3-wal", "ledger.sqlite3-shm"):
        (stage.folder.root / part).unlink(missing_ok=True)
    shutil.copyfile(tmp_path / "old.db", ledger)
    with pytest.raises(
        LedgerDamaged, match=r"an older copy was put in its place\. Bring back the newest copy"
    ):
        async with served(stage):
            pass
    ledger.unlink()
    with pytest.raises(LedgerDamaged, match="The ledger is empty"):
        async with served(stage):
            pass
    assert len(stage.effects("a")) == 1


async def test_case_26_a_clock_far_behind_the_log_stops_the_start(stage: Stage, clock: Clock) -> None:
    clock.ahead_ms = 120_000
    async with served(stage):
        pass
    clock.ahead_ms = 0
    with pytest.raises(LedgerUnavailable, match="behind the last signed head of the log; set it right"):
        async with served(stage):
            pass
    clock.ahead_ms = 100_000
    async with served(stage):
        pass


async def test_case_58_another_history_found_while_running_stops_every_further_write(
    stage: Stage, witness: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAILIWICK_WITNESS_MODE", "async")
    async with served(stage) as room:
        _, key = await room.agent()
        async with room.peer(key) as peer:
            run = await peer.open("change")
            asked = await room.approved(peer, run, item_id="a", price=5)
            # Somebody with the stolen key showed the witness another history of the same length.
            head = room.house.ledger.head()
            assert head is not None
            keep(witness, make_head(room.house.ring, head.origin, head.size, b"x" * 32, head.at_ms))
            await room.agent()
            with anyio.fail_after(30):
                while not await noticed(room):
                    await anyio.lowlevel.checkpoint()
            said = await peer.use(run, CHANGE, asked.token, item_id="a", price=5)
            assert said.code == "unavailable"
            assert room.request(asked.approval["request"]).state == "approved"
    assert stage.effects("a") == []


async def noticed(room: Room) -> bool:
    assert room.house.witness is not None
    try:
        await room.house.witness.may_begin()
    except LedgerDamaged as error:
        return "another history" in str(error)
    return False


async def test_case_27_a_token_outlives_the_rotation_of_its_secret_and_ends_with_its_time(
    stage: Stage,
) -> None:
    async with served(stage) as room:
        _, key = await room.agent()
        old = next(key.kid for key, _ in room.house.ring.standing() if key.purpose == "approval-token")
        async with room.peer(key) as peer:
            run = await peer.open("change")
            asked = await room.approved(peer, run, item_id="a", price=5)
            await room.ask("olga", "key.rotate", purpose="approval-token")
            again = await peer.use(run, CHANGE, item_id="a", price=5)
            assert again.token == asked.token  # derived anew, under the secret that it was made with
            with pytest.raises(OperationFailed, match="1 open requests carry tokens of"):
                await room.ask("olga", "key.retire", kid=old)
            assert (await peer.use(run, CHANGE, asked.token, item_id="a", price=5)).code == "done"
            await room.ask("olga", "key.retire", kid=old)
            spent = await peer.use(run, CHANGE, asked.token, item_id="a", price=5)
            assert spent.code == "approval_spent"
        assert room.house.ledger.verify().whole
    assert len(stage.effects("a")) == 1
