"""Keys of the server take over from each other: overlap, retirement, and a log that stays verifiable."""

from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.entries import Entry
from ledger.errors import LedgerDamaged
from ledger.export import read_export
from ledger.heads import HeadError, make_head, read_vkey, verify_head, write_vkey
from ledger.key_changes import retired, rotated
from ledger.keyring import KeyRing, KeyRingError, Purpose
from ledger.ledger import Ledger
from ledger.merkle import Frontier, leaf_hash
from ledger.verify import LogLine, verify_log

ORIGIN = "bailiwick.test/ledger"
SMALL = Entry("call.answered", "acme", {})


@pytest.fixture
def ledger(url: str, keys: KeyRing) -> Iterator[Ledger]:
    with Ledger.open(url, keys, origin=ORIGIN) as opened:
        yield opened


def rotate(ledger: Ledger, keys: KeyRing, purpose: Purpose = "head") -> str:
    made = keys.add(purpose)
    ledger.append_now(rotated(made, "olga"))
    return made.kid


def retire(ledger: Ledger, keys: KeyRing, kid: str) -> None:
    key = next(key for key, _ in keys.standing() if key.kid == kid)
    keys.retire(kid, ledger.append_now(retired(keys, key, "olga")))


def newest(keys: KeyRing, purpose: Purpose) -> str:
    return next(key.kid for key, state in keys.standing() if (key.purpose, state) == (purpose, "newest"))


def note_of(ledger: Ledger) -> str:
    head = ledger.head()
    assert head is not None
    return head.note


def test_while_one_key_takes_over_whoever_knows_either_can_verify(ledger: Ledger, keys: KeyRing) -> None:
    old = keys.public_keys("head")
    ledger.append_now(SMALL)
    new_kid = rotate(ledger, keys)
    note = note_of(ledger)
    assert note.count("\N{EM DASH}") == 2
    assert verify_head(note, ORIGIN, old).size == 2
    assert verify_head(note, ORIGIN, {new_kid: keys.public_keys("head")[new_kid]}).size == 2


def test_a_whole_log_verifies_with_the_first_key_alone_through_two_rotations(
    ledger: Ledger, keys: KeyRing
) -> None:
    first = keys.public_keys("head")
    for _ in range(2):
        before = newest(keys, "head")
        ledger.append_now(SMALL)
        rotate(ledger, keys)
        ledger.append_now(SMALL)
        retire(ledger, keys, before)
        ledger.append_now(SMALL)
    assert note_of(ledger).count("\N{EM DASH}") == 1
    with pytest.raises(HeadError, match="not signed by a key of this log"):
        verify_head(note_of(ledger), ORIGIN, first)
    report = ledger.verify()
    assert report.whole, report.fault
    lines = list(ledger.export())
    exported = read_export(lines)
    assert verify_log(exported.lines, exported.heads, first, origin=ORIGIN).whole


def test_case_27_a_retired_key_signs_nothing_new(
    ledger: Ledger, keys: KeyRing, tmp_path: Path, url: str
) -> None:
    ledger.append_now(SMALL)
    old_kid = newest(keys, "head")
    stolen = KeyRing.load(tmp_path / "keys")  # with the private half, as somebody took it in time
    rotate(ledger, keys)
    retire(ledger, keys, old_kid)
    ledger.append_now(SMALL)
    assert old_kid in keys.public_keys("head")
    assert list(keys.retired("head")) == [old_kid]
    head = ledger.head()
    assert head is not None
    forged = make_head(stolen, ORIGIN, head.size, head.root, head.at_ms)
    with pytest.raises(HeadError, match="not signed by a key of this log"):
        verify_head(forged.note, ORIGIN, keys.public_keys("head"), keys.retired("head"))
    fault = ledger.verify(
        witnessed=[make_head(stolen, ORIGIN, head.size, head.root, head.at_ms + 1).note]
    ).fault
    assert fault is not None
    assert "not signed by a key of this log" in fault.sentence
    # What it signed while it was good stays good: the heads before.
    assert ledger.verify().whole


def test_case_27_a_log_that_ends_with_a_head_of_a_retired_key_does_not_open(
    path: Path, keys: KeyRing, tmp_path: Path
) -> None:
    old_kid = newest(keys, "head")
    stolen = KeyRing.load(tmp_path / "keys")
    with Ledger.open(f"sqlite:///{path}", keys, origin=ORIGIN) as ledger:
        rotate(ledger, keys)
        retire(ledger, keys, old_kid)
    with Ledger.open(f"sqlite:///{path}", keys, origin=ORIGIN) as ledger:
        ledger.append_now(SMALL)
    with pytest.raises(LedgerDamaged):
        Ledger.open(f"sqlite:///{path}", stolen, origin=ORIGIN)


def test_a_retired_key_has_lost_its_private_half_on_disk_too(
    ledger: Ledger, keys: KeyRing, tmp_path: Path
) -> None:
    old_kid, old_secret = newest(keys, "head"), keys.secret("approval-token")
    token_kid = newest(keys, "approval-token")
    rotate(ledger, keys)
    rotate(ledger, keys, "approval-token")
    assert keys.secrets("approval-token")[1] == old_secret
    retire(ledger, keys, old_kid)
    retire(ledger, keys, token_kid)
    again = KeyRing.load(tmp_path / "keys")
    assert [(key.kid, state) for key, state in again.standing()] == [
        (key.kid, state) for key, state in keys.standing()
    ]
    assert (
        again.secrets("approval-token") == keys.secrets("approval-token") == [keys.secret("approval-token")]
    )
    assert urlsafe_b64encode(old_secret).decode() not in (tmp_path / "keys/ring.json").read_text()
    assert again.public_keys("head") == keys.public_keys("head")


def test_only_a_key_with_a_successor_can_be_retired(keys: KeyRing) -> None:
    only = newest(keys, "export")
    with pytest.raises(KeyRingError, match="add its successor first"):
        keys.retire(only, 1)
    with pytest.raises(KeyRingError, match="has no key"):
        keys.retire("0" * 16, 1)
    keys.add("export")
    keys.retire(only, 1)
    with pytest.raises(KeyRingError, match="retired already"):
        keys.retire(only, 2)


def test_a_forged_rotation_under_no_good_head_teaches_nobody_a_key(
    ledger: Ledger, keys: KeyRing, tmp_path: Path
) -> None:
    ledger.append_now(SMALL)
    thief = KeyRing.create(tmp_path / "thief")
    made = next(key for key, _ in thief.standing() if key.purpose == "head")
    lines = list(ledger.export())
    exported = read_export(lines)
    raw = rotated(made, "eve").encode(2, "2026-11-22T23:45:00.123Z".replace("2026", "2999"))
    forged = [*exported.lines, LogLine(2, leaf_hash(raw), raw)]
    frontier = Frontier().extended([line.leaf for line in forged])
    note = make_head(thief, ORIGIN, 2, frontier.root(), 0).note
    fault = verify_log(forged, [*exported.heads, note], keys.public_keys("head"), origin=ORIGIN).fault
    assert fault is not None
    assert (fault.seq, fault.kind) == (2, "head")


def test_a_public_half_is_handed_on_in_one_line(keys: KeyRing) -> None:
    (key,) = keys.public_keys("head").values()
    line = write_vkey(ORIGIN, key)
    assert read_vkey(line) == (ORIGIN, key)
    for wrong in ("", ORIGIN, line[:-2], line.replace("test", "best"), f"{line} x"):
        with pytest.raises((HeadError, ValueError)):
            read_vkey(wrong)
