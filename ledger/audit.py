"""Verification of a stored ledger: all that `verify` proves of the log, and that the tables beside it agree.

Columns, heads, edges and subtree hashes only repeat signed bytes; but what is searched must be true too, or
an edited column would hide an entry from everybody who looks for it.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

from sqlalchemy import Executable, select
from sqlalchemy.exc import SQLAlchemyError

from ledger.engine import open_database, sqlite_file, unavailable
from ledger.entries import RestsOn, StoredEntry
from ledger.errors import LedgerUnavailable
from ledger.heads import HeadError, parse_head
from ledger.merkle import Frontier, Node
from ledger.statements import execute
from ledger.tables import heads, log, rests_on, tree
from ledger.transaction import Reading
from ledger.verify import Columns, Fault, LogLine, LogReport, Signatures, verify_log

_ROWS_AT_A_TIME = 1_000

_ENTRIES = select(
    log.c.seq, log.c.at_ms, log.c.kind, log.c.tenant, log.c.principal, log.c.run, log.c.leaf, log.c.entry
).order_by(log.c.seq)
_HEADS = select(heads.c.size, heads.c.at_ms, heads.c.root, heads.c.note, heads.c.frontier).order_by(
    heads.c.size
)
_EDGES = select(rests_on.c.seq, rests_on.c.dependent, rests_on.c.relation, rests_on.c.foundation).order_by(
    rests_on.c.seq
)
_NODES = select(tree.c.position, tree.c.hash).order_by(tree.c.position)


def verify_stored(
    reading: Reading,
    head_keys: Mapping[str, bytes],
    *,
    origin: str,
    witnessed: Iterable[str] = (),
    signatures: Signatures = "every",
    seen: Callable[[StoredEntry], None] | None = None,
) -> LogReport:
    """Verify everything in one snapshot, also against heads (notes) that a witness kept elsewhere.

    `HeadError` if a witnessed head is no head at all; one that does not fit is a fault of the log. For the
    rest see `verify_log`.
    """
    rows = _HeadRows(reading)
    notes = with_witnessed(rows.notes(), witnessed)
    edges = _Edges(reading)

    def take(entry: StoredEntry) -> None:
        edges.take(entry)
        if seen is not None:
            seen(entry)

    nodes: list[tuple[Node, bytes]] = []
    report = verify_log(
        stored_lines(reading),
        notes,
        head_keys,
        origin=origin,
        signatures=signatures,
        seen=take,
        finished=nodes,
    )
    if not report.whole:
        return report
    return replace(report, fault=rows.fault or edges.fault or _wrong_node(reading, nodes))


@contextmanager
def stored_ledger(url: str) -> Generator[Reading]:
    """A stored ledger as it is, for whoever examines it: nothing is created, and no head need be right."""
    try:
        if (file := sqlite_file(url)) is not None and not file.is_file():
            raise LedgerUnavailable(f"There is no ledger {file}; it was moved or taken away.")
        database = open_database(url)
        with database.connect_reading() as connection, database.reading(connection):
            yield Reading(connection)
    except SQLAlchemyError as error:
        raise unavailable(error) from error


def with_witnessed(notes: Iterable[str], witnessed: Iterable[str]) -> Iterator[str]:
    """Heads in their order, and those that a witness kept where their sizes belong.

    `HeadError` if a witnessed head is no head at all.
    """
    kept = sorted((parse_head(note).size, note) for note in witnessed)
    for note in notes:
        try:
            size = parse_head(note).size if kept else 0
        except HeadError:
            size = 0  # verification will name it, in its place
        while kept and kept[0][0] < size:
            yield kept.pop(0)[1]
        yield note
    yield from (note for _, note in kept)


def stored_lines(reading: Reading) -> Iterator[LogLine]:
    """Every row of the log, in order."""
    for seq, at_ms, kind, tenant, principal, run, leaf, entry in _stream(reading, _ENTRIES):
        yield LogLine(seq, leaf, entry, Columns(at_ms, kind, tenant, principal, run))


def stored_heads(reading: Reading) -> Iterator[str]:
    """The note of every stored head, in order of size."""
    return (note for _, _, _, note, _ in _stream(reading, _HEADS))


class _HeadRows:
    """The rows of heads, whose columns must say what their signed notes say."""

    def __init__(self, reading: Reading) -> None:
        self.fault: Fault | None = None
        self._reading = reading

    def notes(self) -> Iterator[str]:
        """Every note, in order of size; the first row that differs from its note is kept."""
        for size, at_ms, root, note, frontier in _stream(self._reading, _HEADS):
            if self.fault is None and not _agrees_with_note(size, at_ms, root, note, frontier):
                said = f"The row of the head of size {size} differs from its signed note."
                self.fault = Fault(size, "head", said)
            yield note


def _agrees_with_note(size: int, at_ms: int, root: bytes, note: str, frontier: bytes) -> bool:
    try:
        head = parse_head(note)
        known = Frontier.from_bytes(size, frontier).root()
    except (HeadError, ValueError):
        return False
    return (head.size, head.at_ms, head.root, head.root) == (size, at_ms, root, known)


class _Edges:
    """Each row of `rests_on` must be declared by its entry; each edge of an entry must have its row."""

    def __init__(self, reading: Reading) -> None:
        self.fault: Fault | None = None
        self._reading = reading
        self._rows = _stream(reading, _EDGES)
        self._row = next(self._rows, None)

    def take(self, entry: StoredEntry) -> None:
        """Hold the next entry's edges to the table; the first fault is kept."""
        row = self._row
        if self.fault is not None or (not entry.rests_on and (row is None or row[0] > entry.seq)):
            return
        declared = set(entry.rests_on)
        while row is not None and row[0] == entry.seq:
            edge = RestsOn(*row[1:])
            if edge not in declared:
                said = f"{_words(edge)} is stored for entry {entry.seq}, which does not say so."
                self._wrong(entry.seq, said)
            declared.discard(edge)
            row = next(self._rows, None)
        self._row = row
        for edge in declared:
            if not _declared_before(self._reading, edge, entry.seq):
                self._wrong(entry.seq, f"{_words(edge)}, says entry {entry.seq}, but it is not stored.")

    def _wrong(self, seq: int, sentence: str) -> None:
        if self.fault is None:
            self.fault = Fault(seq, "index", sentence)


def _wrong_node(reading: Reading, nodes: list[tuple[Node, bytes]]) -> Fault | None:
    """Each stored subtree must be the one that the leaves make, and each of theirs must be stored."""
    stored = _stream(reading, _NODES)
    # Subtrees are finished in the order of their last leaves; the table has the order from left to right.
    for node, made in sorted(nodes, key=lambda one: one[0].position):
        row = next(stored, None)
        if row is None or tuple(row) != (node.position, made):
            first, last = (node.number << node.level) + 1, node.number + 1 << node.level
            return Fault(first, "index", f"The stored hash over the entries {first} to {last} is not theirs.")
    extra = next(stored, None)
    return None if extra is None else Fault(1, "index", "A hash is stored over entries that are not there.")


def _declared_before(reading: Reading, edge: RestsOn, seq: int) -> bool:
    query = rests_on.select().filter_by(**edge._asdict()).where(rests_on.c.seq < seq)
    return reading.one(query) is not None


def _words(edge: RestsOn) -> str:
    return f"That {edge.dependent} {edge.relation} {edge.foundation}"


def _stream(reading: Reading, query: Executable) -> Iterator[Sequence[Any]]:
    """The rows of a query, by position, however many there are."""
    connection = reading.connection
    if connection.dialect.name == "sqlite":
        # Its driver reads row by row; SQLAlchemy would only add as much time again.
        yield from execute(connection, str(cast("Any", query).compile(dialect=connection.dialect)))
        return
    found = reading.execute(query.execution_options(yield_per=_ROWS_AT_A_TIME))
    try:
        yield from found
    finally:
        found.close()  # also where a fault ends the reading early
