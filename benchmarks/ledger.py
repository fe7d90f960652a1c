"""The ledger by itself: verifying a log, proving things in a long one, and appending beside a bare table.

The log is like one that eight clients make: groups of eight entries, each with one signed head; entries are
those of reads, served bundles and refusals, with their edges. Rates are given as the time for one entry, so
that less is better as everywhere: 10 µs are 100,000 entries in a second.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from hashlib import sha256
from itertools import islice
from pathlib import Path
from random import Random
from time import perf_counter

from benchmarks.calls import WrongAnswer
from benchmarks.registry import Extent
from benchmarks.rounds import Rounds, in_turn
from benchmarks.rows import Row
from ledger.audit import verify_stored
from ledger.entries import Entry, RestsOn
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from ledger.merkle import Frontier, leaf_hash
from ledger.proving import head_of_size, prove_consistency, prove_inclusion
from ledger.transaction import Reading
from ledger.verify import Signatures
from policies.audit_rules import Replay

ORIGIN = "bailiwick.bench/ledger"
ENTRIES = 40_000
"""How long the log is that is verified."""

LONG = 1_000_000
"""How long the log is in which things are proven."""

GROUP = 8
PROOFS = 200
APPENDS = 200

VERIFY_MOST_US, PROOF_MOST_MS = 10.0, 1.0
_EVERY, _NEWEST = "verify, every signature", "verify, newest signature"
_HASHING = "hashing the same entries into a tree"
_INCLUSION, _CONSISTENCY = "inclusion proof, 1m p50", "consistency proof, 1m p50"
_ONE, _EIGHT = "append p50, group of 1", "append p50, group of 8"


def measure(extent: Extent) -> list[Row]:
    """Every metric, in alternating rounds."""
    with tempfile.TemporaryDirectory(prefix="bailiwick-bench-") as place:
        folder = Path(place)
        keys = KeyRing.create(folder / "keys")
        return [
            *_verifying(folder, keys, extent),
            *_proving(folder, keys, extent),
            *_appending(folder, keys, extent),
        ]


def entries() -> Iterator[Entry]:
    """What is written down while agents work: mostly reads, some evidence, some refusals."""
    random = Random(7)
    number = 0
    while True:
        number += 1
        run = f"run_{number // 40:026d}"
        kind = random.choices(("call.answered", "bundle.served", "call.refused"), (6, 3, 1))[0]
        digest = "sha256:" + sha256(b"%d" % number).hexdigest()
        if kind == "call.answered":
            source = f"obs-{number:026d}@1"
            body = {"tool": "shop__read_item", "effect": "read", "observation": source, "is_error": False}
            edge = RestsOn(run, "was_shown", source)
            yield Entry(kind, "shop", {**body, "arguments": digest, "text": digest}, "bot", run, (edge,))
        elif kind == "bundle.served":
            bundle = f"bnd_{number:026d}"
            quoted = tuple(
                RestsOn(bundle, "quotes", f"policy-{k}@3:{number}-{number + 80}") for k in range(3)
            )
            yield Entry(
                kind, "shop", {"bundle": bundle, "digest": digest, "step": "read"}, "bot", run, quoted
            )
        else:
            body = {"act": "shop__change_item", "code": "approval_required", "reason": "no approval came"}
            yield Entry(kind, "shop", {**body, "arguments": digest}, "bot", run)


def _filled(folder: Path, keys: KeyRing, name: str, count: int, group: int) -> Ledger:
    ledger = Ledger.open(f"sqlite:///{folder / name}", keys, origin=ORIGIN)
    source = entries()
    for _ in range(0, count, group):
        ledger.append_now(*islice(source, group))
    return ledger


def _verifying(folder: Path, keys: KeyRing, extent: Extent) -> list[Row]:
    times: Rounds[str] = Rounds()
    with _filled(folder, keys, "verify.db", ENTRIES, GROUP) as ledger:
        raws: list[bytes] = ledger.read(_raw_entries)

        def hashing() -> None:
            if Frontier().extended(leaf_hash(raw) for raw in raws).size != ENTRIES:
                raise WrongAnswer("the tree over the entries has another size")

        subjects: dict[str, Callable[[], None]] = {
            _EVERY: lambda: _verify(ledger, keys, "every"),
            _NEWEST: lambda: _verify(ledger, keys, "newest"),
            _HASHING: hashing,
        }
        for number in range((extent.rounds + 2) // 3):
            for name, run in in_turn(list(subjects.items()), number):
                times.add(name, [_timed(run) / ENTRIES * 1e6])
    return [
        Row("ledger", metric, "µs/entry", times.typical(metric), times.typical(_HASHING), _HASHING, most=most)
        for metric, most in ((_EVERY, None), (_NEWEST, VERIFY_MOST_US))
    ]


def _verify(ledger: Ledger, keys: KeyRing, signatures: Signatures) -> None:
    """What `audit verify` does on a folder: integrity, tables, and completeness."""
    replay = Replay()
    faults: list[str] = []

    def look(reading: Reading) -> bool:
        report = verify_stored(
            reading,
            keys.public_keys("head"),
            origin=ORIGIN,
            signatures=signatures,
            seen=lambda entry: faults.extend(replay.take(entry)),
        )
        return report.whole and report.entries == ENTRIES

    if not ledger.read(look) or faults:
        raise WrongAnswer("an untouched log is not whole")


def _raw_entries(reading: Reading) -> list[bytes]:
    return [row.entry for row in reading.connection.exec_driver_sql("SELECT entry FROM log ORDER BY seq")]


def _proving(folder: Path, keys: KeyRing, extent: Extent) -> list[Row]:
    times: Rounds[str] = Rounds()
    with _filled(folder, keys, "long.db", LONG, 4_000) as ledger:
        random = Random(11)
        bare = sqlite3.connect(folder / "long.db")
        with closing(bare):
            subjects: dict[str, Callable[[], Sequence[float]]] = {
                _INCLUSION: lambda: _prove_entries(ledger, random),
                _CONSISTENCY: lambda: _prove_extensions(ledger, random),
                "peer": lambda: _read_entries(bare, random),
            }
            for number in range((extent.rounds + 2) // 3):
                for name, run in in_turn(list(subjects.items()), number):
                    times.add(name, run())
    return [
        Row(
            "ledger",
            metric,
            "ms",
            times.typical(metric),
            times.typical("peer"),
            "reading the entry alone, bare SQLite",
            most=PROOF_MOST_MS,
        )
        for metric in (_INCLUSION, _CONSISTENCY)
    ]


def _prove_entries(ledger: Ledger, random: Random) -> list[float]:
    head = ledger.read(lambda reading: head_of_size(reading, None))
    wanted = [random.randint(1, head.size) for _ in range(PROOFS)]
    return [
        _timed(lambda seq=seq: ledger.read(lambda reading: prove_inclusion(reading, seq, head))) * 1000
        for seq in wanted
    ]


def _prove_extensions(ledger: Ledger, random: Random) -> list[float]:
    newest = ledger.read(lambda reading: head_of_size(reading, None))
    sizes = [random.randint(1, LONG // 4_000) * 4_000 for _ in range(PROOFS)]
    olds = [ledger.read(lambda reading, size=size: head_of_size(reading, size)) for size in sizes]
    return [
        _timed(lambda old=old: ledger.read(lambda reading: prove_consistency(reading, old, newest))) * 1000
        for old in olds
    ]


def _read_entries(bare: sqlite3.Connection, random: Random) -> list[float]:
    def read(seq: int) -> None:
        if bare.execute("SELECT entry FROM log WHERE seq = ?", (seq,)).fetchone() is None:
            raise WrongAnswer(f"entry {seq} is missing")

    return [_timed(lambda: read(random.randint(1, LONG))) * 1000 for _ in range(PROOFS)]


def _appending(folder: Path, keys: KeyRing, extent: Extent) -> list[Row]:
    """The same rows into the same columns, committed as durably, by a bare connection of SQLite."""
    times: Rounds[tuple[str, str]] = Rounds()
    with (
        Ledger.open(f"sqlite:///{folder / 'append.db'}", keys, origin=ORIGIN) as ledger,
        closing(_bare(folder / "bare.db")) as bare,
    ):
        ledger.make_room()
        source = entries()
        made = 0
        for number in range(extent.rounds):
            for (metric, size), side in in_turn(
                [(metric, side) for metric in ((_ONE, 1), (_EIGHT, 8)) for side in ("ours", "peer")], number
            ):
                took: list[float] = []
                for _ in range(APPENDS // size):
                    group = list(islice(source, size))
                    if side == "ours":
                        took.append(_timed(lambda group=group: ledger.append_now(*group)) * 1000)
                    else:
                        took.append(_timed(lambda group=group, made=made: _insert(bare, group, made)) * 1000)
                        made += size
                times.add((metric, side), took)
    return [
        Row(
            "ledger",
            metric,
            "ms",
            times.typical((metric, "ours")),
            times.typical((metric, "peer")),
            "the same rows, bare SQLite",
        )
        for metric in (_ONE, _EIGHT)
    ]


def _bare(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(
        "CREATE TABLE log (seq INTEGER PRIMARY KEY, at_ms, kind TEXT, tenant TEXT, principal TEXT, run TEXT, "
        "leaf BLOB, entry BLOB)"
    )
    return connection


def _insert(connection: sqlite3.Connection, group: Sequence[Entry], made: int) -> None:
    rows = [
        (made + k, 0, one.kind, one.tenant, one.principal, one.run, os.urandom(32), one.encode(made + k, "x"))
        for k, one in enumerate(group, start=1)
    ]
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    connection.execute("COMMIT")


def _timed(run: Callable[[], object]) -> float:
    before = perf_counter()
    run()
    return perf_counter() - before
