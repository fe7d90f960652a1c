"""Witnesses: they follow extensions and nothing else, and the server stops where they know better."""

import asyncio
import base64
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.entries import Entry
from ledger.errors import LedgerDamaged, LedgerError, LedgerUnavailable
from ledger.heads import HeadError, SignedHead, make_head, parse_head
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from ledger.proving import extension_hashes
from ledger.witness import (
    Reply,
    Submission,
    cosign,
    judge_submission,
    read_submission,
    read_witness_key,
    verify_cosignature,
    write_witness_key,
)
from ledger.witness_file import FileWitness, read_kept
from ledger.witness_http import HttpWitness
from ledger.witnessing import Witnessing, WitnessPlace

pytestmark = pytest.mark.anyio

ORIGIN = "bailiwick.test/ledger"
NEVER_S = 3_600.0


def entry(number: int = 0) -> Entry:
    return Entry("call.answered", "acme", {"n": number})


@pytest.fixture
def ledger(url: str, keys: KeyRing) -> Iterator[Ledger]:
    with Ledger.open(url, keys, origin=ORIGIN) as opened:
        opened.append_now(entry(1))
        yield opened


def newest(ledger: Ledger) -> SignedHead:
    head = ledger.head()
    assert head is not None
    return head


def submission(ledger: Ledger, old_size: int) -> Submission:
    head = newest(ledger)
    hashes = ledger.read(lambda reading: extension_hashes(reading, old_size, head)) if old_size else []
    return Submission(old_size, tuple(hashes), head.note)


def watching(ledger: Ledger, witness: FileWitness, *, sync: bool = True) -> Witnessing:
    return Witnessing(ledger, WitnessPlace("the witness w", witness), sync=sync, interval_s=NEVER_S)


@pytest.fixture
def witness(tmp_path: Path, keys: KeyRing) -> FileWitness:
    return FileWitness(tmp_path / "elsewhere.json", lambda: keys.public_keys("head"))


# --- what a witness follows


def test_a_witness_follows_a_log_that_grows(ledger: Ledger, witness: FileWitness, tmp_path: Path) -> None:
    assert witness.submit(submission(ledger, 0)).status == 200
    for size in (1, 2, 7):
        ledger.append_now(*(entry(number) for number in range(size)))
        known = read_kept(tmp_path / "elsewhere.json")
        assert known is not None
        assert witness.submit(submission(ledger, known.size)).status == 200
    assert read_kept(tmp_path / "elsewhere.json") == newest(ledger)
    assert witness.submit(submission(ledger, newest(ledger).size)).status == 200  # the same once more


def test_what_is_no_extension_is_refused_with_the_status_of_the_protocol(
    ledger: Ledger, keys: KeyRing, tmp_path: Path
) -> None:
    ledger.append_now(entry(2), entry(3))
    ledger.append_now(entry(4))
    public = keys.public_keys("head")
    head, good = newest(ledger), submission(ledger, 3)
    kept = make_head(keys, ORIGIN, 3, parse_head(submission_of_size(ledger, 3)).root, 0)
    assert judge_submission(kept, good, public) == head
    forged = make_head(keys, ORIGIN, 4, b"x" * 32, 0).note
    thief = KeyRing.create(tmp_path / "thief").public_keys("head")
    other = make_head(keys, ORIGIN, 3, b"x" * 32, 0)
    table = {
        "a signature of nobody known": (judge_submission(kept, good, thief), Reply(403)),
        "an old size beyond the new one": (
            judge_submission(kept, Submission(5, (), head.note), public),
            Reply(400),
        ),
        "an old size that is not known": (
            judge_submission(kept, submission(ledger, 1), public),
            Reply(409, "3\n"),
        ),
        "a first head with hashes": (
            judge_submission(None, Submission(0, (b"x" * 32,), head.note), public),
            Reply(422),
        ),
        "no proof": (judge_submission(kept, Submission(3, (), head.note), public), Reply(422)),
        "case_57 another root with the stolen key": (
            judge_submission(kept, Submission(3, good.hashes, forged), public),
            Reply(422),
        ),
        "case_58 another history of the same size": (
            judge_submission(kept, Submission(3, (), other.note), public),
            Reply(409),
        ),
        "case_56 a shorter log": (
            judge_submission(head, Submission(3, (), kept.note), public),
            Reply(409, "4\n"),
        ),
    }
    assert {name: got for name, (got, wanted) in table.items() if got != wanted} == {}


def submission_of_size(ledger: Ledger, size: int) -> str:
    from ledger.proving import head_of_size

    return ledger.read(lambda reading: head_of_size(reading, size)).note


def test_a_submission_is_read_as_it_is_written(ledger: Ledger) -> None:
    ledger.append_now(entry(2), entry(3))
    for old_size in (0, 1, 3):
        sent = submission(ledger, old_size)
        assert read_submission(sent.to_text()) == sent
    note = newest(ledger).note
    hash_ = base64.b64encode(b"x" * 32).decode()
    for wrong in (
        "",
        note,
        f"old -1\n\n{note}",
        f"old 01\n\n{note}",
        f"new 1\n\n{note}",
        f"old 1\nabc\n\n{note}",
        f"old 1\n{hash_[:-4]}\n\n{note}",
        "old 1\n" + f"{hash_}\n" * 64 + f"\n{note}",
        "old 1\n\nno note",
    ):
        assert read_submission(wrong) is None


def test_a_cosignature_confirms_one_head_by_one_witness(ledger: Ledger, keys: KeyRing) -> None:
    key = Ed25519PrivateKey.generate()
    line = write_witness_key("w.example", key.public_key().public_bytes_raw())
    witness = read_witness_key(line)
    note = newest(ledger).note
    lines = cosign(note, "w.example", key, 1_764_000_000)
    assert verify_cosignature(note, lines, witness) == 1_764_000_000
    assert parse_head(note + lines).size == 1
    ledger.append_now(entry(2))
    with pytest.raises(HeadError, match=r"cosignature of w\.example is wrong"):
        verify_cosignature(newest(ledger).note, lines, witness)
    with pytest.raises(HeadError, match="not confirmed"):
        verify_cosignature(note, cosign(note, "v.example", key, 1), witness)
    with pytest.raises(HeadError):
        read_witness_key(line.replace("w.example", "v.example"))


# --- what a server does with it


async def test_a_write_waits_until_its_head_is_witnessed(
    ledger: Ledger, witness: FileWitness, tmp_path: Path
) -> None:
    with closing(watching(ledger, witness)) as watch:
        for number in range(3):
            await watch.may_begin()
            await ledger.append(entry(number))
            await watch.follow()
            assert read_kept(tmp_path / "elsewhere.json") == newest(ledger)


async def test_many_writes_share_one_submission(ledger: Ledger, witness: FileWitness) -> None:
    with closing(watching(ledger, witness)) as watch:
        await asyncio.gather(*(ledger.append(entry(number)) for number in range(20)))
        await asyncio.gather(*(watch.follow() for _ in range(20)))


async def test_an_asynchronous_witness_is_told_at_the_latest_when_the_server_stops(
    ledger: Ledger, witness: FileWitness, tmp_path: Path
) -> None:
    watch = watching(ledger, witness, sync=False)
    await ledger.append(entry(2))
    await watch.follow()
    watch.close()
    watch.close()
    assert read_kept(tmp_path / "elsewhere.json") == newest(ledger)


async def test_while_the_witness_is_away_nothing_begins_and_then_all_goes_on(
    ledger: Ledger, witness: FileWitness, tmp_path: Path
) -> None:
    with closing(watching(ledger, witness)) as watch:
        lock = tmp_path / "elsewhere.json.lock"
        lock.unlink()
        lock.mkdir()  # as if the share were gone
        await ledger.append(entry(2))
        with pytest.raises(LedgerUnavailable, match="cannot be asked"):
            await watch.follow()
        with pytest.raises(LedgerUnavailable, match="cannot be asked"):
            await watch.may_begin()
        lock.rmdir()
        await watch.may_begin()
        assert read_kept(tmp_path / "elsewhere.json") == newest(ledger)


def test_two_servers_on_one_log_share_a_witness(
    url: str, ledger: Ledger, keys: KeyRing, witness: FileWitness
) -> None:
    async def both() -> None:
        for number in range(3):
            for one, watch in ((ledger, first), (other, second)):
                await one.append(entry(number))
                await watch.follow()

    with (
        Ledger.open(url, keys, origin=ORIGIN) as other,
        closing(watching(ledger, witness)) as first,
        closing(watching(other, witness)) as second,
    ):
        asyncio.run(both())


# --- attacks, on SQLite: they are done with files


@pytest.fixture
def filed(path: Path, keys: KeyRing) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{path}", keys, origin=ORIGIN) as opened:
        opened.append_now(entry(1))
        yield opened


def copied(path: Path, to: Path) -> None:
    with closing(sqlite3.connect(path)) as live, closing(sqlite3.connect(to)) as copy:
        live.backup(copy)


def test_case_60_an_older_copy_of_the_database_is_refused_at_start(
    filed: Ledger, path: Path, keys: KeyRing, witness: FileWitness, tmp_path: Path
) -> None:
    copied(path, tmp_path / "old.db")
    filed.append_now(entry(2))
    watching(filed, witness).close()
    with (
        Ledger.open(f"sqlite:///{tmp_path}/old.db", keys, origin=ORIGIN) as old,
        pytest.raises(LedgerDamaged, match="has 1 entries, but the witness w saw 2: an older copy"),
    ):
        watching(old, witness)


async def test_case_83_of_a_copied_folder_only_one_goes_on(
    filed: Ledger, path: Path, keys: KeyRing, witness: FileWitness, tmp_path: Path
) -> None:
    copied(path, tmp_path / "copy.db")
    with (
        Ledger.open(f"sqlite:///{tmp_path}/copy.db", keys, origin=ORIGIN) as copy,
        closing(watching(filed, witness)) as first,
        closing(watching(copy, witness)) as second,
    ):
        await filed.append(entry(2))
        await first.follow()
        for history in (entry(3), entry(4)):
            await copy.append(history)
            with pytest.raises(LedgerDamaged, match="another history"):
                await second.follow()
            with pytest.raises(LedgerDamaged, match="another history"):
                await second.may_begin()
        await first.may_begin()


def test_case_57_a_history_rewritten_with_the_stolen_key_is_refused_at_start(
    filed: Ledger, keys: KeyRing, witness: FileWitness, tmp_path: Path
) -> None:
    filed.append_now(entry(2))
    watching(filed, witness).close()
    with Ledger.open(f"sqlite:///{tmp_path}/forged.db", keys, origin=ORIGIN) as forged:
        for number in (1, 0, 3):
            forged.append_now(entry(number))
        with pytest.raises(LedgerDamaged, match="another history"):
            watching(forged, witness)


def test_a_witness_that_keeps_something_else_is_not_overwritten(
    filed: Ledger, witness: FileWitness, tmp_path: Path
) -> None:
    kept = tmp_path / "elsewhere.json"
    kept.write_text("mine\n")
    with pytest.raises(LedgerUnavailable, match="keeps no head"):
        watching(filed, witness)
    assert kept.read_text() == "mine\n"
    shutil.rmtree(tmp_path / "gone", ignore_errors=True)
    with pytest.raises(LedgerUnavailable, match="cannot be asked"):
        watching(filed, FileWitness(tmp_path / "gone" / "head.json", dict))


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://h/?q=1", "nonsense"])
def test_what_is_no_address_of_a_witness_is_refused(url: str) -> None:
    with pytest.raises(LedgerError, match="is no witness"):
        HttpWitness(url)
