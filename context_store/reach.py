"""What a grant reaches: the versions it covers, as its query found them, kept for as long as that holds.

A read grant becomes SQL in one place (`readable`). Its answer is a set of versions, and everything that is
searched or shown is looked up among these and nowhere else. What a release holds and who may read it does not
change for a given head, so the set is kept until the head moves or a window of validity opens or closes.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from context_store.cursor import Cursor
from context_store.grants import ReadGrant
from context_store.index import Name, PassageIndex, Segment, columns
from context_store.readable import READABLE, parameters

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Numbers = npt.NDArray[np.integer[Any]]

MOST_KEPT: Final = 32
"""How many reaches are kept; a step's labels, collections and release make one."""

MOST_KEPT_BYTES: Final = 64 * 2**20
"""How many bytes of postings, as they were read for some reach, are kept for the next search."""


class KeptPostings:
    """The postings that were read last, for any reach, up to `MOST_KEPT_BYTES`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[int, int], tuple[Numbers, Any]] = OrderedDict()
        self._bytes = 0

    def get(self, name: tuple[int, int]) -> tuple[Numbers, Any] | None:
        """What was kept under a reach's number and a term."""
        with self._lock:
            found = self._kept.get(name)
            if found is not None:
                self._kept.move_to_end(name)
            return found

    def keep(self, name: tuple[int, int], found: tuple[Numbers, Any]) -> None:
        """Keep what was read, and let go of what was not asked for longest."""
        with self._lock:
            if name not in self._kept:
                self._kept[name] = found
                self._bytes += found[0].nbytes + found[1].nbytes
            while self._bytes > MOST_KEPT_BYTES:
                _, oldest = self._kept.popitem(last=False)
                self._bytes -= oldest[0].nbytes + oldest[1].nbytes


_numbers = itertools.count()


@dataclass(frozen=True)
class Reach:
    """The versions that one grant reaches at one time, and the passages of them in the index.

    `keys` are the versions' keys, sorted, beside the collections that they are in and whether they declare
    facts. Passages are numbered through all segments.
    """

    keys: Numbers
    collections: npt.NDArray[np.object_]
    declaring: npt.NDArray[np.bool_]
    segments: tuple[Segment, ...]
    kept: KeptPostings
    number: int = field(default_factory=_numbers.__next__)

    def covers(self, key: int) -> bool:
        """Whether it reaches the version of this key."""
        at = int(self.keys.searchsorted(key))
        return at < len(self.keys) and int(self.keys[at]) == key

    def declares(self, key: int) -> bool:
        """Whether a version that is reached declares facts."""
        return bool(self.declaring[int(self.keys.searchsorted(key))])

    def collection_of(self, key: int) -> str:
        """The collection that a version is in, which is reached."""
        return str(self.collections[int(self.keys.searchsorted(key))])

    def span_of(self, key: int, ordinal: int) -> tuple[int, int]:
        """The span of a passage of a version that is reached."""
        held = (segment for segment in self.segments if segment.holds(key))
        return next(held).span(key, ordinal)

    @cached_property
    def bases(self) -> list[int]:
        """Where each segment's passages begin in the numbering through all of them; and the end."""
        bases = [0]
        for segment in self.segments:
            bases.append(bases[-1] + segment.size)
        return bases

    @cached_property
    def seen(self) -> list[npt.NDArray[np.bool_]]:
        """For each segment, which of its passages are reached."""
        import numpy as np

        return [
            np.repeat(np.isin(segment.keys, self.keys, assume_unique=True), np.diff(segment.first))
            for segment in self.segments
        ]

    @cached_property
    def passages(self) -> int:
        """How many passages are reached."""
        return sum(int(seen.sum()) for seen in self.seen)

    @cached_property
    def mean(self) -> float:
        """The mean length of a passage that is reached, in terms."""
        pairs = zip(self.segments, self.seen, strict=True)
        terms = sum(int(segment.length[seen].sum()) for segment, seen in pairs)
        return terms / self.passages if self.passages else 1.0

    def postings(self, term: int) -> tuple[Numbers, npt.NDArray[np.float64]]:
        """The reached passages that hold a term, sorted, and what it scores in each but for its weight."""
        found = self.kept.get((self.number, term))
        if found is None:
            found = self._read(term)
            self.kept.keep((self.number, term), found)
        return found

    def _read(self, term: int) -> tuple[Numbers, Any]:
        import numpy as np

        numbers: list[Any] = []
        impacts: list[Any] = []
        for segment, seen, base in zip(self.segments, self.seen, self.bases, strict=False):
            passage, occurrences = segment.postings(term)
            inside = seen[passage]
            passage, often = passage[inside], occurrences[inside].astype(np.float64)
            norm = K1 * (1 - B + B / self.mean * segment.length[passage])
            numbers.append(passage + np.int32(base))
            impacts.append(often * (K1 + 1) / (often + norm))
        if len(numbers) == 1:
            return numbers[0], impacts[0]
        if not numbers:
            return np.empty(0, dtype=np.int32), np.empty(0)
        return np.concatenate(numbers), np.concatenate(impacts)

    def names(self, numbers: Sequence[int]) -> dict[int, Name]:
        """The source, version, ordinal and key of each of these passages."""
        import numpy as np

        asked = np.asarray(numbers, dtype=np.int64)
        found: dict[int, Name] = {}
        for at, segment in enumerate(self.segments):
            own = asked[(asked >= self.bases[at]) & (asked < self.bases[at + 1])]
            found.update(zip(own.tolist(), segment.names(own - self.bases[at]), strict=True))
        return found


K1: Final = 1.2
B: Final = 0.75


@dataclass(frozen=True, slots=True)
class Reaches:
    """What a grant reaches from `since_ms` until `until_ms`: what is in force, and what was."""

    current: Reach
    former: Reach
    since_ms: float
    until_ms: float


Opening = Callable[[float | None], AbstractContextManager[Cursor]]
"""How a cursor is had, for at most so many seconds: `KnowledgeStore.reading`."""


class ReachKeeper:
    """The reaches that are in use, of one store.

    `labels` are all that a tenant's sources carry, as of a head.
    """

    def __init__(self) -> None:
        self.index = PassageIndex()
        self.labels: dict[tuple[str, int], frozenset[str]] = {}
        self._postings = KeptPostings()
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Reaches] = OrderedDict()

    def of(
        self, reading: Opening, grant: ReadGrant, head: int, now_ms: int, *, fresh: bool = False
    ) -> Reaches:
        """What the grant reaches now. Asks its query, unless the answer is known to be the same.

        A `fresh` answer is neither taken from what is known nor kept.
        """
        asked = parameters(grant, head, now_ms)
        name = repr([(key, asked[key]) for key in sorted(asked) if key != "now_ms"])
        with self._lock:
            known = None if fresh else self._kept.get(name)
            if known is not None and known.since_ms <= now_ms < known.until_ms:
                self._kept.move_to_end(name)
                return known
        # Without a limit: whoever comes first loads the index for all, and asking for less would not help.
        with reading(None) as cursor:
            found = self._ask(cursor, grant.tenant, asked, now_ms)
        if fresh:
            return found
        with self._lock:
            self._kept[name] = found
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return found

    def _ask(self, cursor: Cursor, tenant: str, asked: Mapping[str, Any], now_ms: int) -> Reaches:
        import numpy as np

        rows = columns(cursor, _REACHED, asked)
        keys = np.asarray(rows["key"], dtype=np.int32)
        current, former = (np.asarray(rows[name], dtype=bool) for name in ("current", "former"))
        windows = [np.ma.compressed(np.ma.asarray(rows[name])) for name in ("opens", "closes")]
        limits = np.concatenate(windows).astype(np.float64)
        collections = np.asarray(rows["collection"], dtype=object)
        declaring = np.asarray(rows["declares"], dtype=bool)
        segments = self.index.segments(cursor, tenant, keys)
        return Reaches(
            Reach(keys[current], collections[current], declaring[current], segments, self._postings),
            Reach(keys[former], collections[former], declaring[former], segments, self._postings),
            since_ms=float(limits[limits <= now_ms].max(initial=-np.inf)),
            until_ms=float(limits[limits > now_ms].min(initial=np.inf)),
        )


_REACHED = f"""
{READABLE}
SELECT r.key, c.key IS NOT NULL AS current, f.key IS NOT NULL AS former,
    r.declares, r.collection, r.valid_from_ms AS opens, r.valid_until_ms AS closes
FROM readable r LEFT JOIN current c USING (key) LEFT JOIN former f USING (key)
ORDER BY r.key
"""  # noqa: S608
