"""Deferred records: nobody waits for them, nothing rests on them, and a failure ends the deferring."""

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, MetaData, Table, Text, text

from ledger import writer
from ledger.entries import Entry
from ledger.errors import LedgerUnavailable
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from ledger.tables import heads
from ledger.transaction import Transaction

pytestmark = pytest.mark.anyio

ORIGIN = "bailiwick.test/ledger"
notes = Table("notes", MetaData(), Column("name", Text, primary_key=True))


def entry(kind: str = "call.refused", number: int = 0) -> Entry:
    return Entry(kind, "acme", {"n": number})


def note(tx: Transaction, name: str) -> None:
    tx.execute(notes.insert(), {"name": name})


@pytest.fixture
def ledger(url: str, keys: KeyRing) -> Iterator[Ledger]:
    with Ledger.open(url, keys, origin=ORIGIN, deferred=True) as opened:
        opened.transact_now(lambda tx: notes.create(tx.connection))
        yield opened


async def test_by_default_a_record_is_on_disk_when_it_was_made(url: str, keys: KeyRing) -> None:
    with Ledger.open(url, keys, origin=ORIGIN) as durable:
        await durable.record(entry())
        assert len(list(durable.entries())) == 1


async def test_a_deferred_record_is_not_waited_for_and_soon_there(
    ledger: Ledger, hold: Callable[[Ledger], threading.Event]
) -> None:
    released = hold(ledger)
    await ledger.record(
        entry(), store=lambda tx: note(tx, "a")
    )  # the writer is busy: it comes back all the same
    assert list(ledger.entries()) == []
    released.set()
    await ledger.settled()
    assert [stored.kind for stored in ledger.entries()] == ["call.refused"]
    assert ledger.read(lambda reading: len(reading.all(notes.select()))) == 1


async def test_deferred_records_wait_for_company_and_share_a_head(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "DEFER_S", 60.0)
    for number in range(20):
        await ledger.record(entry(number=number))
    assert list(ledger.entries()) == []
    await ledger.append(entry("execution.begun"))  # who is waited for takes them along, behind them
    assert [stored.kind for stored in ledger.entries()] == ["call.refused"] * 20 + ["execution.begun"]
    assert ledger.read(lambda reading: len(reading.all(heads.select()))) == 1


async def test_a_lone_deferred_record_is_written_when_it_is_due(ledger: Ledger) -> None:
    await ledger.record(entry())
    deadline = asyncio.get_running_loop().time() + 30
    while not list(ledger.entries()):
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0)


async def test_closing_writes_what_is_still_on_its_way(url: str, keys: KeyRing) -> None:
    with Ledger.open(url, keys, origin=ORIGIN, deferred=True) as ledger:
        await ledger.record(entry())
    with Ledger.open(url, keys, origin=ORIGIN) as again:
        assert len(list(again.entries())) == 1


async def test_when_a_deferred_record_is_lost_the_next_one_is_waited_for(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_tx: Transaction) -> None:
        raise KeyError("lost")

    await ledger.record(store=fail)
    await ledger.settled()
    with pytest.raises(KeyError, match="lost"):
        await ledger.record(store=fail)  # waited for, so its caller hears of it
    await ledger.record(entry())
    await ledger.settled()
    assert len(list(ledger.entries())) == 1


async def test_only_so_many_records_are_on_their_way_unwaited_for(
    ledger: Ledger, hold: Callable[[Ledger], threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MAX_DEFERRED", 3)
    released = hold(ledger)
    for _ in range(3):
        await ledger.record(entry())
    waiting = asyncio.ensure_future(ledger.record(entry()))
    await asyncio.sleep(0)
    assert not waiting.done()
    released.set()
    await waiting
    assert len(list(ledger.entries())) == 4


async def test_a_closed_ledger_defers_nothing(url: str, keys: KeyRing) -> None:
    ledger = Ledger.open(url, keys, origin=ORIGIN, deferred=True)
    ledger.close()
    with pytest.raises(LedgerUnavailable, match="closed"):
        await ledger.record(entry())


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from ledger import writer
from ledger.entries import Entry
from ledger.keyring import KeyRing
from ledger.ledger import Ledger

writer.DEFER_S = 60.0  # however slow this machine is, what is deferred is not yet written

async def main(folder, origin):
    keys = KeyRing.load(Path(folder, "keys"))
    ledger = Ledger.open(f"sqlite:///{folder}/ledger.db", keys, origin=origin, deferred=True)
    for kind in ("call.refused", "call.answered"):
        await ledger.record(Entry(kind, "acme", {"when": "before"}))
    await ledger.append(Entry("bundle.served", "acme", {}))
    await ledger.transact(lambda tx: tx.append(Entry("execution.begun", "acme", {})))
    for kind in ("call.refused", "call.answered"):
        await ledger.record(Entry(kind, "acme", {"when": "after"}))
    print("answered", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(*sys.argv[1:]))
"""


def test_killed_in_deferred_mode_only_records_are_lost_on_which_nothing_rests(
    tmp_path: Path, path: Path, keys: KeyRing
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), ORIGIN],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, "answered\n"), ended.stderr
    with Ledger.open(f"sqlite:///{path}", keys, origin=ORIGIN) as ledger:
        kept = [(stored.kind, stored.body.get("when")) for stored in ledger.entries()]
        assert kept == [
            ("call.refused", "before"),
            ("call.answered", "before"),
            ("bundle.served", None),
            ("execution.begun", None),
        ]
        assert ledger.verify().whole
        assert ledger.read(lambda reading: reading.all(text("SELECT * FROM tree"))) == []
