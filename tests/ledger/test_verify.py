"""55 to 59: whatever is done to the stored log, verification names the first bad entry."""

import base64
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ledger.entries import Entry, RestsOn
from ledger.export import read_export
from ledger.heads import SignedHead, make_head
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from ledger.merkle import Frontier, leaf_hash
from ledger.verify import LogLine, verify_log

ORIGIN = "bailiwick.test/ledger"

# Entries 1 | 2 | 3 to 6 (one group) | 7 | 8, and a head after each group.
GROUPS = ((1,), (2,), (3, 4, 5, 6), (7,), (8,))


def entry(number: int) -> Entry:
    edge = RestsOn(f"bnd_{number}", "quotes", f"policy-{number}@1:0-9")
    return Entry("bundle.served", "acme", {"n": number}, principal="agent-1", run="run_1", rests_on=(edge,))


@pytest.fixture
def written(path: Path, keys: KeyRing) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{path}", keys, origin=ORIGIN) as ledger:
        for group in GROUPS:
            ledger.append_now(*(entry(number) for number in group))
        yield ledger


def test_an_untouched_log_is_whole(written: Ledger) -> None:
    report = written.verify()
    assert (report.whole, report.entries, report.heads) == (True, 8, 5)
    assert report.last_head == written.head()


def test_an_empty_log_is_whole(ledger: Ledger) -> None:
    report = ledger.verify()
    assert (report.whole, report.entries, report.heads, report.last_head) == (True, 0, 0, None)


def edited(number: int, *, leaf_too: bool = False) -> list[str]:
    """SQL that changes one entry's text, and its leaf hash as well."""
    text = f"CAST(replace(entry, '\"n\":{number}', '\"n\":0') AS BLOB)"
    leaf = f"leaf_of({text})" if leaf_too else "leaf"
    return [f"UPDATE log SET entry = {text}, leaf = {leaf} WHERE seq = {number}"]  # noqa: S608  an attack


def moved(numbers: Iterable[int], by: int) -> list[str]:
    """SQL that gives entries other numbers."""
    return [f"UPDATE log SET seq = {number + by} WHERE seq = {number}" for number in numbers]  # noqa: S608


COPY_6_AS_7 = (
    "INSERT INTO log SELECT 7, at_ms, kind, tenant, principal, run, leaf, entry FROM log WHERE seq = 6"
)
SWAP_BYTES = [
    "CREATE TABLE kept AS SELECT seq, leaf, entry FROM log",
    "UPDATE log SET (leaf, entry) = "
    "(SELECT leaf, entry FROM kept WHERE kept.seq = 9 - log.seq) WHERE seq IN (4, 5)",
]
SWAP_HEADS = [
    "CREATE TABLE kept AS SELECT size, note FROM heads",
    "UPDATE heads SET note = (SELECT note FROM kept WHERE kept.size = 3 - heads.size) WHERE size IN (1, 2)",
]
CUT_TAIL = ["DELETE FROM log WHERE seq > 7"]
CUT_TAIL_AND_HEADS = [*CUT_TAIL, "DELETE FROM heads WHERE size > 7"]
ADD_A_NINTH = [
    "CREATE TABLE kept AS "
    "SELECT *, CAST(replace(entry, '\"seq\":8', '\"seq\":9') AS BLOB) AS forged FROM log",
    "INSERT INTO log SELECT 9, at_ms, kind, tenant, principal, run, leaf_of(forged), forged "
    "FROM kept WHERE seq = 8",
]

# What was done to the file: the entry that must be named, the kind of the fault.
ATTACKS: dict[str, tuple[list[str], int, str]] = {
    "case_55 an entry edited": (edited(2), 2, "edited"),
    "case_55 an entry edited within a group": (edited(5), 5, "edited"),
    "case_55 the newest entry edited": (edited(8), 8, "edited"),
    "case_55 an entry edited with its leaf hash": (edited(2, leaf_too=True), 2, "edited"),
    "case_55 an entry of a group edited with its leaf hash": (edited(5, leaf_too=True), 3, "edited"),
    "case_55 the first entry deleted": (["DELETE FROM log WHERE seq = 1"], 1, "missing"),
    "case_55 an entry deleted": (["DELETE FROM log WHERE seq = 4"], 4, "missing"),
    "case_55 an entry deleted, the rest moved up": (
        ["DELETE FROM log WHERE seq = 4", *moved(range(5, 9), by=-1)],
        4,
        "moved",
    ),
    "case_55 two entries reordered": (SWAP_BYTES, 4, "moved"),
    "case_55 an entry slipped in": ([*moved([8, 7], by=1), COPY_6_AS_7], 7, "moved"),
    "an entry added behind the last head": (ADD_A_NINTH, 9, "unsigned"),
    "case_56 the newest entry cut off": (CUT_TAIL, 8, "cut"),
    "case_56 everything cut off": (["DELETE FROM log"], 1, "cut"),
    "case_59 the last entry torn": (["UPDATE log SET entry = substr(entry, 1, 50) WHERE seq = 8"], 8, "torn"),
    "case_59 an entry overwritten with zeros": (
        ["UPDATE log SET entry = zeroblob(80) WHERE seq = 3"],
        3,
        "torn",
    ),
    "an entry spelled otherwise": (
        ["UPDATE log SET entry = CAST(entry || ' ' AS BLOB) WHERE seq = 2"],
        2,
        "torn",
    ),
    "a leaf hash changed": (["UPDATE log SET leaf = zeroblob(32) WHERE seq = 6"], 6, "edited"),
    "the searchable run changed": (["UPDATE log SET run = 'run_2' WHERE seq = 4"], 4, "index"),
    "the searchable kind changed": (["UPDATE log SET kind = 'a.b' WHERE seq = 4"], 4, "index"),
    "the searchable time changed": (["UPDATE log SET at_ms = at_ms + 1 WHERE seq = 4"], 4, "index"),
    "the searchable principal removed": (["UPDATE log SET principal = NULL WHERE seq = 4"], 4, "index"),
    "an edge removed": (["DELETE FROM rests_on WHERE seq = 5"], 5, "index"),
    "an edge redirected": (["UPDATE rests_on SET foundation = 'policy-9@1' WHERE seq = 5"], 5, "index"),
    "an edge invented": (["INSERT INTO rests_on VALUES ('bnd_9', 'quotes', 'policy-9@1', 5)"], 5, "index"),
    "two heads swapped": (SWAP_HEADS, 1, "head"),
    "a head without signature": (["UPDATE heads SET note = 'trust me' WHERE size = 6"], 3, "head"),
    "a head re-dated": (["UPDATE heads SET note = replace(note, 'at 2', 'at 3') WHERE size = 6"], 3, "head"),
    "all heads removed": (["DELETE FROM heads"], 1, "unsigned"),
    "the newest head removed": (["DELETE FROM heads WHERE size = 8"], 8, "unsigned"),
    "a head's frontier changed": (["UPDATE heads SET frontier = zeroblob(64) WHERE size = 6"], 6, "head"),
    "a head's root changed": (["UPDATE heads SET root = zeroblob(32) WHERE size = 6"], 6, "head"),
    "a head's frontier cut": (["UPDATE heads SET frontier = zeroblob(32) WHERE size = 6"], 6, "head"),
}


def tamper(path: Path, statements: list[str]) -> None:
    """Change the stored ledger as somebody would who holds the file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.create_function("leaf_of", 1, leaf_hash)
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_first_bad_entry_is_named(written: Ledger, path: Path, attack: str) -> None:
    statements, seq, kind = ATTACKS[attack]
    tamper(path, statements)
    fault = written.verify().fault
    assert fault is not None
    assert (fault.seq, fault.kind) == (seq, kind)
    assert fault.sentence.endswith(".")


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_export_of_a_damaged_log_hides_nothing(
    written: Ledger, path: Path, keys: KeyRing, attack: str
) -> None:
    statements, seq, kind = ATTACKS[attack]
    tamper(path, statements)
    exported = read_export(written.export())
    fault = verify_log(exported.lines, exported.heads, keys.public_keys("head"), origin=ORIGIN).fault
    beside_the_log = kind == "index" or "head's" in attack  # an export has no columns, edges or frontiers
    assert (fault and (fault.seq, fault.kind)) == (None if beside_the_log else (seq, kind))


def kept_head(ledger: Ledger) -> str:
    head = ledger.head()
    assert head is not None
    return head.note


def test_case_56_a_tail_cut_with_its_heads_is_caught_by_a_head_kept_elsewhere(
    written: Ledger, path: Path
) -> None:
    kept = kept_head(written)
    tamper(path, CUT_TAIL_AND_HEADS)
    assert written.verify().whole  # nobody can know from the file alone
    fault = written.verify(witnessed=[kept]).fault
    assert fault is not None
    assert (fault.seq, fault.kind) == (8, "cut")


def test_heads_kept_elsewhere_agree_with_an_untouched_log(written: Ledger) -> None:
    kept = [kept_head(written)]
    written.append_now(entry(9))
    kept.append(kept_head(written))
    report = written.verify(witnessed=reversed(kept))
    assert (report.whole, report.heads) == (True, 8)


def rewritten(keys: KeyRing, forge: Callable[[int], Entry]) -> tuple[list[LogLine], list[SignedHead]]:
    """Another history of the same log, well made and signed with the real key."""
    lines: list[LogLine] = []
    heads: list[SignedHead] = []
    frontier = Frontier()
    for number in range(1, 9):
        raw = forge(number).encode(number, "2026-11-22T23:45:00.123Z")
        lines.append(LogLine(number, leaf_hash(raw), raw))
        frontier.append(lines[-1].leaf)
        heads.append(make_head(keys, ORIGIN, number, frontier.root(), 0))
    return lines, heads


def test_case_57_case_58_a_history_rewritten_with_the_stolen_key_does_not_fit_a_head_kept_elsewhere(
    keys: KeyRing,
) -> None:
    public = keys.public_keys("head")
    _, honest = rewritten(keys, entry)
    lines, heads = rewritten(keys, lambda number: entry(number if number < 4 else 0))
    assert verify_log(lines, [head.note for head in heads], public, origin=ORIGIN).whole
    notes = [head.note for head in sorted([*heads, honest[5]], key=lambda head: head.size)]
    fault = verify_log(lines, notes, public, origin=ORIGIN).fault
    assert fault is not None
    assert (fault.seq, fault.kind) == (6, "edited")


def test_a_log_whose_time_runs_backwards_is_not_whole(keys: KeyRing) -> None:
    lines, heads = rewritten(keys, entry)
    raw = entry(8).encode(8, "2026-11-22T23:44:59.123Z")
    lines[7] = LogLine(8, leaf_hash(raw), raw)
    fault = verify_log(lines, [heads[6].note], keys.public_keys("head"), origin=ORIGIN).fault
    assert fault is not None
    assert (fault.seq, "older" in fault.sentence) == (8, True)


def test_a_malformed_entry_that_was_signed_is_named_as_such(keys: KeyRing) -> None:
    line = LogLine(1, leaf_hash(b"{}"), b"{}")
    fault = verify_log([line], [], keys.public_keys("head"), origin=ORIGIN).fault
    assert fault is not None
    assert "was written malformed" in fault.sentence


def test_an_entry_that_stands_twice_is_named(keys: KeyRing) -> None:
    lines, _ = rewritten(keys, entry)
    fault = verify_log([lines[0], lines[0]], [], keys.public_keys("head"), origin=ORIGIN).fault
    assert fault is not None
    assert (fault.seq, fault.kind) == (2, "moved")


def test_heads_out_of_order_are_named(keys: KeyRing) -> None:
    lines, heads = rewritten(keys, entry)
    notes = [heads[1].note, heads[0].note]
    fault = verify_log(lines, notes, keys.public_keys("head"), origin=ORIGIN).fault
    assert fault is not None
    assert (fault.kind, "out of order" in fault.sentence) == ("head", True)


def test_base64_of_a_root_is_what_the_tree_says(written: Ledger) -> None:
    head = written.head()
    assert head is not None
    leaves = [line.leaf for line in read_export(written.export()).lines]
    assert head.note.split("\n")[2] == base64.b64encode(Frontier().extended(leaves).root()).decode()
