"""The index in memory: the postings of the store as arrays, one set for each tenant.

DuckDB keeps the postings; searching them there takes tens of milliseconds, in arrays a fraction of one. What
is in here is derived and immutable: a segment holds the postings of some versions, and a version that a
release brings in makes a new segment, so that a publication costs what it changes. Small segments are joined
when larger ones follow. Nothing in here says who may read what: a `Reach` does, and without one no posting is
read.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from context_store.cursor import Cursor

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Numbers = npt.NDArray[np.integer[Any]]

_ROWS_AT_ONCE: Final = 2_000_000
"""How many postings are read from DuckDB in one piece, so that loading takes little more than what stays."""

_JOINED: Final = 2
"""A segment is joined with a new one that is at least this part of its size: 1/2."""


Name = tuple[str, int, int, int]
"""A passage by its source, version and ordinal, in whose order ties come; and the key of its version."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Segment:
    """The postings of some versions. Passages are numbered from 0, in the order of key and ordinal.

    `keys` are the versions' keys, sorted, beside the names of their sources and their numbers; `first` is
    where each one's passages begin, and one more; `spans` has the span of each passage. The postings of
    `terms[t]` stand at `starts[t]:starts[t + 1]`, sorted by passage.
    """

    keys: Numbers
    sources: Sequence[str]
    versions: Sequence[int]
    first: Numbers
    length: Numbers
    spans: Numbers
    terms: Numbers
    starts: Numbers
    passage: Numbers
    occurrences: Numbers

    @property
    def size(self) -> int:
        """How many passages it holds."""
        return int(self.first[-1])

    def postings(self, term: int) -> tuple[Numbers, Numbers]:
        """The passages that hold a term, and how often each does."""
        at = int(self.terms.searchsorted(term))
        if at == len(self.terms) or self.terms[at] != term:
            return self.passage[:0], self.occurrences[:0]
        part = slice(int(self.starts[at]), int(self.starts[at + 1]))
        return self.passage[part], self.occurrences[part]

    def holds(self, key: int) -> bool:
        """Whether it has the version of this key."""
        at = int(self.keys.searchsorted(key))
        return at < len(self.keys) and int(self.keys[at]) == key

    def span(self, key: int, ordinal: int) -> tuple[int, int]:
        """The span of a passage of a version that it holds."""
        start, end = self.spans[int(self.first[int(self.keys.searchsorted(key))]) + ordinal].tolist()
        return start, end

    def names(self, numbers: Numbers) -> list[Name]:
        """The names of these passages."""
        versions: list[int] = (self.first.searchsorted(numbers, side="right") - 1).tolist()
        ordinals: list[int] = (numbers - self.first[versions]).tolist()
        keys: list[int] = self.keys[versions].tolist()
        return [
            (self.sources[at], self.versions[at], ordinal, key)
            for at, ordinal, key in zip(versions, ordinals, keys, strict=True)
        ]


class PassageIndex:
    """The segments of every tenant, loaded when a search first needs them."""

    def __init__(self) -> None:
        self._loading = threading.Lock()
        self._of_tenant: dict[str, tuple[Segment, ...]] = {}

    def segments(self, cursor: Cursor, tenant: str, keys: Numbers) -> tuple[Segment, ...]:
        """Segments that hold all versions of `keys`, which are sorted; loads those that no segment has."""
        with self._loading:
            segments = self._of_tenant.get(tenant, ())
            missing = _missing(segments, keys)
            if len(missing):
                segments = self._of_tenant[tenant] = _joined(cursor, segments, missing)
            return segments


def _missing(segments: Iterable[Segment], keys: Numbers) -> Numbers:
    import numpy as np

    for segment in segments:
        keys = np.setdiff1d(keys, segment.keys, assume_unique=True)
    return keys


def _joined(cursor: Cursor, segments: tuple[Segment, ...], keys: Numbers) -> tuple[Segment, ...]:
    """The segments with a new one for `keys`; it takes in those that are not much larger, so few remain."""
    import numpy as np

    kept = list(segments)
    size = _count(cursor, keys)
    while kept and kept[-1].size <= _JOINED * size:
        last = kept.pop()
        size += last.size
        keys = np.union1d(keys, last.keys)
    return (*kept, load_segment(cursor, keys))


def _count(cursor: Cursor, keys: Numbers) -> int:
    row = cursor.execute(_COUNT, _asked(keys)).fetchone()
    return int(row[0]) if row else 0


def load_segment(cursor: Cursor, keys: Numbers) -> Segment:
    """Read the postings of these versions, which are sorted by key, into arrays."""
    import numpy as np

    whole = _asked(keys)
    rows = cursor.execute(_VERSIONS, whole).fetchall()
    named, sources, versions, counts = zip(*rows, strict=True) if rows else ((),) * 4
    found = np.asarray(named, dtype=np.int32)
    first = np.concatenate(([0], np.cumsum(np.asarray(counts, dtype=np.int64))))
    # What DuckDB's columns are typed as is its affair: everything is taken as what this module says.
    by_term = columns(cursor, _TERMS, whole)
    terms = np.asarray(by_term["term"], dtype=np.int64)
    starts = np.concatenate(([0], np.cumsum(np.asarray(by_term["n"], dtype=np.int64))))
    passage = np.empty(int(starts[-1]), dtype=np.int32)
    occurrences = np.empty(int(starts[-1]), dtype=np.uint16)
    length = np.zeros(int(first[-1]), dtype=np.int32)
    filled = starts[:-1].copy()
    for part in _parts(found, first, len(passage)):
        part_rows = columns(cursor, _POSTINGS, _asked(part))
        at = np.asarray(terms.searchsorted(np.asarray(part_rows["term"], dtype=np.int64)))
        numbers = first[found.searchsorted(part_rows["key"])] + np.asarray(
            part_rows["ordinal"], dtype=np.int64
        )
        # Rows come by term: each goes after what its term has already, in its order among its equals.
        begins = np.flatnonzero(np.diff(at, prepend=-1))
        runs = np.diff(begins, append=len(at))
        slots = filled[at] + (np.arange(len(at)) - np.repeat(begins, runs))
        passage[slots] = numbers
        occurrences[slots] = part_rows["occurrences"]
        length[numbers] = part_rows["length"]
        filled[at[begins]] += runs
    placed = columns(cursor, _SPANS, whole)
    spans = np.column_stack([np.asarray(placed[end], dtype=np.int32) for end in ("span_start", "span_end")])
    return Segment(found, sources, versions, first, length, spans, terms, starts, passage, occurrences)


def _parts(keys: Numbers, first: Numbers, postings: int) -> Iterable[Numbers]:
    """The keys in runs of about `_ROWS_AT_ONCE` postings."""
    import numpy as np

    if not len(keys):
        return
    runs = max(1, -(-postings // _ROWS_AT_ONCE))
    marks = np.searchsorted(first, np.linspace(0, int(first[-1]), runs + 1)[1:-1])
    yield from (part for part in np.split(keys, np.unique(marks)) if len(part))


_AMONG: Final = "key BETWEEN $least AND $most AND key IN (SELECT unnest($keys::INTEGER[]))"
_COUNT = f"SELECT coalesce(sum(passages), 0) FROM versions WHERE {_AMONG}"  # noqa: S608
_VERSIONS = f"SELECT key, source, version, passages FROM versions WHERE {_AMONG} ORDER BY key"  # noqa: S608
_TERMS = f"SELECT term, count(*) AS n FROM postings WHERE {_AMONG} GROUP BY term ORDER BY term"  # noqa: S608
_SPANS = f"SELECT span_start, span_end FROM passages WHERE {_AMONG} ORDER BY key, ordinal"  # noqa: S608
_POSTINGS = f"""
SELECT term, key, ordinal, least(occurrences, 65535) AS occurrences, length FROM postings
WHERE {_AMONG} ORDER BY term, key, ordinal
"""  # noqa: S608


def columns(cursor: Cursor, statement: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of an answer as arrays, by name."""
    found: dict[str, Any] = cast("Any", cursor.execute(statement, asked)).fetchnumpy()
    return found


def _asked(keys: Numbers) -> dict[str, Any]:
    listed: Sequence[int] = keys.tolist()
    return {"keys": listed, "least": min(listed, default=0), "most": max(listed, default=0)}
