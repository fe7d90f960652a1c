"""51: the disk is full, the ledger is locked, read-only, gone or replaced. Nothing is ever half done."""

import asyncio
import resource
import sqlite3
import threading
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from ledger import engine
from ledger.entries import Entry
from ledger.errors import LedgerDamaged, LedgerError, LedgerUnavailable
from ledger.ids import random_token
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from ledger.transaction import Transaction

ORIGIN = "bailiwick.test/ledger"
BIG = Entry("call.answered", "acme", {"text": "x" * 60_000})
SMALL = Entry("call.answered", "acme", {})


@contextmanager
def full_disk(largest: Path) -> Generator[None]:
    """Let this process make no file larger than this one is now."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest.stat().st_size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def write_nothing_more(tx: Transaction) -> None:
    tx.append(SMALL)
    tx.execute(text("PRAGMA query_only=ON"))
    tx.append(SMALL)
    tx.execute(text("SELECT 1"))


@pytest.mark.anyio
async def test_case_51_a_full_disk_fails_the_whole_group_and_leaves_nothing_half_done(
    ledger: Ledger, path: Path, hold: Callable[[Ledger], threading.Event]
) -> None:
    await ledger.append(SMALL)
    released = hold(ledger)
    group = asyncio.gather(
        ledger.append(BIG),
        ledger.transact(lambda tx: tx.append(SMALL)),
        ledger.append(SMALL),
        return_exceptions=True,
    )
    await asyncio.sleep(0)
    with full_disk(path.with_name("ledger.db-wal")):
        released.set()
        results = await group
    assert [type(result) for result in results] == [LedgerUnavailable] * 3
    assert len({id(result) for result in results}) == 3
    assert await ledger.append(SMALL) == 2
    assert ledger.verify().whole


@pytest.mark.anyio
async def test_case_51_work_that_meets_a_read_only_database_fails_the_whole_group(
    ledger: Ledger, hold: Callable[[Ledger], threading.Event]
) -> None:
    released = hold(ledger)
    group = asyncio.gather(
        ledger.append(SMALL),
        ledger.transact(write_nothing_more),
        ledger.append(SMALL),
        return_exceptions=True,
    )
    await asyncio.sleep(0)
    released.set()
    assert [type(result) for result in await group] == [LedgerUnavailable] * 3
    assert await ledger.append(SMALL) == 1  # on a new connection
    assert ledger.verify().whole


def test_case_51_a_ledger_that_another_process_keeps_locked_is_unavailable(
    path: Path, keys: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_MS", 20)
    with Ledger.open(f"sqlite:///{path}", keys, origin=ORIGIN) as ledger:
        with closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(LedgerUnavailable, match="locked"):
                ledger.append_now(SMALL)
            with pytest.raises(LedgerUnavailable, match="locked"):
                Ledger.open(f"sqlite:///{path}", keys, origin=ORIGIN)
            assert list(ledger.entries()) == []
        assert ledger.append_now(SMALL) == 1


def test_case_51_a_new_ledger_that_another_process_keeps_locked_does_not_open(
    path: Path, keys: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_MS", 20)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LedgerUnavailable, match="locked"):
            Ledger.open(f"sqlite:///{path}", keys, origin=ORIGIN)
    Ledger.open(f"sqlite:///{path}", keys, origin=ORIGIN).close()


def test_a_new_ledger_waits_for_another_process_that_is_creating_it(
    path: Path, keys: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_MS", 20)
    monkeypatch.setattr(engine, "monotonic", lambda: 0)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")

        def finish_instead_of_sleeping(_seconds: float) -> None:
            other.rollback()

        monkeypatch.setattr(engine, "sleep", finish_instead_of_sleeping)
        Ledger.open(f"sqlite:///{path}", keys, origin=ORIGIN).close()


def test_case_51_a_ledger_that_is_gone_is_unavailable_and_never_comes_back_empty(
    ledger: Ledger, path: Path
) -> None:
    ledger.append_now(SMALL)
    away = path.with_name("away.db")
    path.rename(away)
    for attempt in (lambda: ledger.append_now(SMALL), lambda: list(ledger.entries())):
        with pytest.raises(LedgerUnavailable, match="moved or replaced"):
            attempt()
    assert not path.exists()
    away.rename(path)
    assert ledger.append_now(SMALL) == 2
    assert ledger.verify().whole


def test_case_51_a_ledger_replaced_by_another_file_is_unavailable(ledger: Ledger, path: Path) -> None:
    ledger.append_now(SMALL)
    path.rename(path.with_name("away.db"))
    path.write_bytes(b"")
    with pytest.raises(LedgerUnavailable, match="moved or replaced"):
        ledger.append_now(SMALL)
    assert path.read_bytes() == b""


def test_a_connection_that_fails_while_reading_is_replaced(ledger: Ledger) -> None:
    ledger.append_now(SMALL)

    def work(_: object) -> None:
        raise engine.OperationalError("SELECT", {}, failure)

    failure = sqlite3.OperationalError("disk I/O error")
    failure.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
    with pytest.raises(LedgerUnavailable, match="disk I/O error"):
        ledger.read(work)
    assert len(list(ledger.entries())) == 1


def test_bad_sql_is_a_bug_and_not_an_unavailable_ledger(ledger: Ledger) -> None:
    with pytest.raises(engine.OperationalError, match="no such table"):
        ledger.read(lambda reading: reading.execute(text("SELECT * FROM nowhere")))
    with pytest.raises(engine.OperationalError, match="no such table"):
        ledger.transact_now(lambda tx: tx.execute(text("SELECT * FROM nowhere")))


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\0" + b"x" * 200])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(
    path: Path, keys: KeyRing, content: bytes
) -> None:
    path.write_bytes(content)
    with pytest.raises(LedgerUnavailable, match="not a database"):
        Ledger.open(f"sqlite:///{path}", keys, origin=ORIGIN)
    assert path.read_bytes() == content


def test_a_place_where_no_file_can_be_is_refused(tmp_path: Path, keys: KeyRing) -> None:
    with pytest.raises(LedgerError, match="There is no folder"):
        Ledger.open(f"sqlite:///{tmp_path}/nowhere/ledger.db", keys, origin=ORIGIN)
    with pytest.raises(LedgerUnavailable, match="cannot be opened"):
        Ledger.open(f"sqlite:///{tmp_path}", keys, origin=ORIGIN)


def test_a_ledger_of_another_version_is_refused(path: Path, keys: KeyRing) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE log (seq INTEGER PRIMARY KEY, entry BLOB)")
    with pytest.raises(LedgerError, match="another version"):
        Ledger.open(f"sqlite:///{path}", keys, origin=ORIGIN)


def tamper(path: Path, *statements: str) -> None:
    """Change the stored ledger as somebody would who holds the file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)


UNTRUSTED = {
    "a head of another time": "UPDATE heads SET at_ms = at_ms + 1",
    "a head with another root": "UPDATE heads SET root = zeroblob(32)",
    "another frontier": "UPDATE heads SET frontier = zeroblob(32)",
    "a frontier of another size": "UPDATE heads SET frontier = zeroblob(64)",
    "a head that is no note": "UPDATE heads SET note = 'trust me'",
    "a head with an edited note": "UPDATE heads SET note = replace(note, 'at 20', 'at 21')",
}


@pytest.mark.parametrize("name", UNTRUSTED)
def test_a_ledger_whose_newest_head_is_not_to_be_trusted_does_not_open(
    ledger: Ledger, path: Path, keys: KeyRing, name: str
) -> None:
    ledger.append_now(SMALL)
    tamper(path, UNTRUSTED[name])
    with pytest.raises(LedgerDamaged):
        Ledger.open(f"sqlite:///{path}", keys, origin=ORIGIN)
    with pytest.raises(LedgerDamaged):
        ledger.head()


def test_a_ledger_of_another_server_or_name_does_not_open(
    ledger: Ledger, path: Path, keys: KeyRing, tmp_path: Path
) -> None:
    ledger.append_now(SMALL)
    with pytest.raises(LedgerDamaged, match="not signed by a key of this log"):
        Ledger.open(f"sqlite:///{path}", KeyRing.create(tmp_path / "other"), origin=ORIGIN)
    with pytest.raises(LedgerDamaged, match=r"not of other\.test"):
        Ledger.open(f"sqlite:///{path}", keys, origin="other.test")


REWRITTEN = {
    "an entry slipped in behind the last head": (
        "INSERT INTO log SELECT 3, at_ms, kind, tenant, principal, run, leaf, entry FROM log WHERE seq = 2",
    ),
    "the last entry cut off": ("DELETE FROM log WHERE seq = 2",),
    "the last head cut off": ("DELETE FROM heads WHERE size = 2",),
    "the newest head taken from another history": ("UPDATE heads SET root = zeroblob(32) WHERE size = 2",),
    "entry and head cut off, back to an older state": (
        "DELETE FROM heads WHERE size = 2",
        "DELETE FROM log WHERE seq = 2",
    ),
}


def test_an_entry_that_cannot_be_read_is_named_and_not_passed_over(ledger: Ledger, path: Path) -> None:
    ledger.append_now(SMALL)
    ledger.append_now(SMALL)
    tamper(path, "UPDATE log SET entry = substr(entry, 1, 40) WHERE seq = 2")
    listing = ledger.entries()
    assert next(listing).seq == 1
    with pytest.raises(LedgerDamaged, match="Entry 2"):
        list(listing)


@pytest.mark.parametrize("name", REWRITTEN)
def test_case_60_a_running_server_writes_nothing_on_top_of_another_history(
    ledger: Ledger, path: Path, name: str
) -> None:
    ledger.append_now(SMALL)
    ledger.append_now(SMALL)
    tamper(path, *REWRITTEN[name])
    with closing(sqlite3.connect(path)) as connection:
        before = connection.execute("SELECT count(*) FROM log").fetchone()
        for _ in range(2):
            with pytest.raises(LedgerDamaged):
                ledger.append_now(SMALL)
        assert connection.execute("SELECT count(*) FROM log").fetchone() == before


def test_case_60_a_new_connection_to_an_older_copy_gives_nothing_away(
    ledger: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.append_now(SMALL)
    with closing(sqlite3.connect(path)) as live, closing(sqlite3.connect(path.with_name("old.db"))) as old:
        live.backup(old)
    ledger.append_now(SMALL)
    for part in ("", "-wal", "-shm"):
        path.with_name(path.name + part).unlink()
    path.with_name("old.db").rename(path)

    # As a server reconnects: it looks only whether the database is there.
    def does_not_notice(_database: engine.Database) -> None:
        """The name leads somewhere, and that is all it sees."""

    monkeypatch.setattr(engine.Sqlite, "check_in_place", does_not_notice)
    for _ in range(2):
        with pytest.raises(LedgerDamaged, match="an older or another copy"):
            ledger.read(lambda reading: reading.all(text("SELECT * FROM log")))
    assert ledger.verify().entries == 1  # to find out what happened it can still be looked at


@pytest.mark.postgres
def test_case_84_a_database_that_failed_over_behind_the_last_redemption_is_unavailable(
    postgres_url: str, keys: KeyRing
) -> None:
    name, stale = random_token("test"), random_token("stale")
    server = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    url = make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    with server.connect() as admin:
        admin.exec_driver_sql(f"CREATE DATABASE {name}")
        with Ledger.open(url, keys, origin=ORIGIN) as before:
            before.append_now(SMALL)
        admin.exec_driver_sql(f"CREATE DATABASE {stale} TEMPLATE {name}")
        with Ledger.open(url, keys, origin=ORIGIN) as ledger:
            ledger.append_now(Entry("execution.begun", "acme", {}))
            # The standby that takes over never got that commit.
            admin.exec_driver_sql(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"  # noqa: S608
            )
            admin.exec_driver_sql(f"DROP DATABASE {name}")
            admin.exec_driver_sql(f"ALTER DATABASE {stale} RENAME TO {name}")
            for _ in range(3):
                with pytest.raises(LedgerError):
                    ledger.append_now(SMALL)
            with pytest.raises(LedgerDamaged, match="an older or another copy was put in its place"):
                ledger.append_now(SMALL)
            with pytest.raises(LedgerDamaged):
                ledger.read(lambda reading: reading.all(text("SELECT * FROM log")))
            assert ledger.verify().entries == 1
        admin.exec_driver_sql(f"DROP DATABASE {name}")
    server.dispose()
