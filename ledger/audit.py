"""Verification of a stored ledger: all that `verify` proves of the log, and that the tables beside it agree.

Columns, heads and edges only repeat signed bytes; but what is searched must be true too, or an edited column
would hide an entry from everybody who looks for it.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from sqlalchemy import Executable, select

from ledger.entries import RestsOn, decode
from ledger.heads import HeadError, parse_head
from ledger.merkle import Frontier
from ledger.tables import heads, log, rests_on
from ledger.transaction import AnyRow, Reading
from ledger.verify import Columns, Fault, LogLine, LogReport, verify_log

_ROWS_AT_A_TIME = 1_000


def verify_stored(
    reading: Reading, head_keys: Mapping[str, bytes], *, origin: str, witnessed: Iterable[str] = ()
) -> LogReport:
    """Verify everything in one snapshot, also against heads (notes) that a witness kept elsewhere.

    `HeadError` if a witnessed head is no head at all; one that does not fit is a fault of the log.
    """
    kept = sorted((parse_head(note).size, note) for note in witnessed)
    notes = (note for _, note in heapq.merge(_sized_heads(reading), kept))
    report = verify_log(stored_lines(reading), notes, head_keys, origin=origin)
    if not report.whole:
        return report
    return replace(report, fault=_wrong_head(reading) or _wrong_edge(reading))


def stored_lines(reading: Reading) -> Iterator[LogLine]:
    """Every row of the log, in order."""
    for row in _stream(reading, log.select().order_by(log.c.seq)):
        columns = Columns(row.at_ms, row.kind, row.tenant, row.principal, row.run)
        yield LogLine(row.seq, row.leaf, row.entry, columns)


def stored_heads(reading: Reading) -> Iterator[str]:
    """The note of every stored head, in order of size."""
    return (note for _, note in _sized_heads(reading))


def _sized_heads(reading: Reading) -> Iterator[tuple[int, str]]:
    for row in _stream(reading, heads.select().order_by(heads.c.size)):
        yield row.size, row.note


def _wrong_head(reading: Reading) -> Fault | None:
    for row in _stream(reading, heads.select().order_by(heads.c.size)):
        if not _agrees_with_note(row):
            return Fault(
                row.size, "head", f"The row of the head of size {row.size} differs from its signed note."
            )
    return None


def _agrees_with_note(row: AnyRow) -> bool:
    try:
        head = parse_head(row.note)
        frontier = Frontier.from_bytes(row.size, row.frontier)
    except (HeadError, ValueError):
        return False
    return (head.size, head.at_ms, head.root, head.root) == (row.size, row.at_ms, row.root, frontier.root())


def _wrong_edge(reading: Reading) -> Fault | None:
    """Each row of `rests_on` must be declared by its entry; each edge of an entry must have its row."""
    rows = _stream(reading, rests_on.select().order_by(rests_on.c.seq))
    row = next(rows, None)
    for stored in _stream(reading, select(log.c.seq, log.c.entry).order_by(log.c.seq)):
        declared = set(decode(stored.entry).rests_on)
        while row is not None and row.seq == stored.seq:
            edge = RestsOn(row.dependent, row.relation, row.foundation)
            if edge not in declared:
                return Fault(
                    row.seq, "index", f"{_words(edge)} is stored for entry {row.seq}, which does not say so."
                )
            declared.remove(edge)
            row = next(rows, None)
        for edge in declared:
            if not _declared_before(reading, edge, stored.seq):
                return Fault(
                    stored.seq, "index", f"{_words(edge)}, says entry {stored.seq}, but it is not stored."
                )
    return None


def _declared_before(reading: Reading, edge: RestsOn, seq: int) -> bool:
    query = rests_on.select().filter_by(**edge._asdict()).where(rests_on.c.seq < seq)
    return reading.one(query) is not None


def _words(edge: RestsOn) -> str:
    return f"That {edge.dependent} {edge.relation} {edge.foundation}"


def _stream(reading: Reading, query: Executable) -> Iterator[AnyRow]:
    return iter(reading.execute(query.execution_options(yield_per=_ROWS_AT_A_TIME)))
