"""Search by meaning: passages ranked by how near their vectors are to the need's.

Vectors are kept in the store beside the texts, one row for each version, with the model that made them. They
are compared exactly, and only those of passages that the grant reaches. Search by meaning is used when every
version that is reached has its vectors, and not otherwise: an answer must not depend on how far a computation
has come. A bundle says which it was.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from context_store.cursor import Cursor
from context_store.index import Segment, columns
from context_store.reach import Reach
from ledger.canonical import JsonObject

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from context_store.store import KnowledgeStore

    Vectors = npt.NDArray[np.float32]

DEPTH: Final = 50
_FEW: Final = 0.1
"""Below this share of a segment, its reached vectors are copied out and compared by themselves."""

_SLACK: Final = 1e-3
_AT_ONCE: Final = 32


class Model(Protocol):
    """What turns texts into vectors of length 1."""

    @property
    def name(self) -> str:
        """The model's name."""
        ...

    @property
    def revision(self) -> str:
        """The digest of its weights."""
        ...

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """One row for each text. Blocks; the first call may take seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Meant:
    """What the passages are by meaning: number and likeness, the likest first; or why that was not asked."""

    ranking: tuple[tuple[int, float], ...]
    model: JsonObject | None
    why_not: str

    def as_json(self) -> JsonObject:
        """What a bundle says about it."""
        return {"semantic": self.model or self.why_not}


class Meaning:
    """A model, and the vectors of the store's segments as they are in memory."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._lock = threading.Lock()
        self._have: weakref.WeakKeyDictionary[Segment, tuple[int, Any]] = weakref.WeakKeyDictionary()
        self._loaded: weakref.WeakKeyDictionary[Segment, Any] = weakref.WeakKeyDictionary()

    def has(self, cursor: Cursor, segment: Segment, keys: Any) -> bool:
        """Whether all of these versions that a segment holds have their vectors."""
        import numpy as np

        known, have = self._have.get(segment, (-1, None))
        if have is None or not have.all():
            # Vectors are only ever added; as long as there are no more of them, the answer is the same.
            row = cursor.execute(_COUNT, self._asked()).fetchone()
            count = int(row[0]) if row else 0
            if have is None or count != known:
                rows = columns(cursor, _HAVE, self._asked() | {"keys": segment.keys.tolist()})
                have = np.isin(segment.keys, np.asarray(rows["key"], dtype=np.int32))
                self._have[segment] = count, have
        return bool(have[np.isin(segment.keys, keys, assume_unique=True)].all())

    def vectors(self, cursor: Cursor, segment: Segment, keys: Any) -> Vectors:
        """The vectors of a segment's passages, those of these versions at least; read once."""
        import numpy as np

        with self._lock:
            vectors, have = self._loaded.get(segment, (None, None))
            if vectors is None or not have[np.isin(segment.keys, keys, assume_unique=True)].all():
                vectors, have = self._loaded[segment] = self._load(cursor, segment)
        return vectors

    def _load(self, cursor: Cursor, segment: Segment) -> tuple[Any, Any]:
        import numpy as np

        vectors = np.zeros((segment.size, self.model.dimension), dtype=np.float32)
        have = np.zeros(len(segment.keys), dtype=bool)
        cursor.execute(_VECTORS, self._asked() | {"keys": segment.keys.tolist()})
        while rows := cast("list[tuple[int, bytes]]", cursor.fetchmany(256)):
            for key, raw in rows:
                at = int(segment.keys.searchsorted(key))
                first, last = int(segment.first[at]), int(segment.first[at + 1])
                vectors[first:last] = np.frombuffer(raw, dtype="<f4").reshape(last - first, -1)
                have[at] = True
        return vectors, have

    def _asked(self) -> dict[str, Any]:
        return {"model": self.model.name, "revision": self.model.revision}


_OF_MODEL: Final = "FROM vectors WHERE model = $model AND revision = $revision"
_AMONG: Final = f"{_OF_MODEL} AND key IN (SELECT unnest($keys::INTEGER[]))"
_COUNT: Final = f"SELECT count(*) {_OF_MODEL}"
_HAVE: Final = f"SELECT DISTINCT key {_AMONG}"
_VECTORS: Final = f"SELECT key, vectors {_AMONG}"


def ranked_by_meaning(store: KnowledgeStore, cursor: Cursor, reach: Reach, need: str) -> Meant:
    """The passages of a reach that are likest to a need, with their likeness (a cosine)."""
    import numpy as np

    meaning = store.meaning
    if meaning is None:
        return Meant((), None, "not in use")
    if not all(meaning.has(cursor, segment, reach.keys) for segment in reach.segments):
        return Meant((), None, "not used: some versions have no vectors")
    model: JsonObject = {
        "model": meaning.model.name,
        "revision": meaning.model.revision,
        "dimension": meaning.model.dimension,
    }
    if not need.strip() or not reach.passages:
        return Meant((), model, "")
    asked = meaning.model.encode([need])[0]
    loaded = [meaning.vectors(cursor, segment, reach.keys) for segment in reach.segments]
    likeness = np.full(reach.bases[-1], -2.0, dtype=np.float32)
    for vectors, seen, base in zip(loaded, reach.seen, reach.bases, strict=False):
        own = likeness[base : base + len(seen)]
        if seen.mean() < _FEW:
            own[seen] = vectors[seen] @ asked
        else:
            own[seen] = (vectors @ asked)[seen]
    depth = min(DEPTH, reach.passages)
    # How such a product is summed up depends on how many rows there are, so also on what is not reached: its
    # last digits must not decide. Whatever may be among the best is compared again, exactly enough to round.
    least = float(np.partition(likeness, len(likeness) - depth)[len(likeness) - depth]) - _SLACK
    near = np.flatnonzero(likeness >= least)
    exact = np.concatenate(
        [
            vectors[near[(near >= base) & (near < base + len(vectors))] - base].astype(np.float64)
            for vectors, base in zip(loaded, reach.bases, strict=False)
        ]
    ) @ asked.astype(np.float64)
    likest: list[float] = np.round(cast("Vectors", exact), 4).tolist()
    ranking = sorted(zip(near.tolist(), likest, strict=True), key=_by_likeness)
    return Meant(tuple(ranking[:depth]), model, "")


def _by_likeness(pair: tuple[int, float]) -> tuple[float, int]:
    return -pair[1], pair[0]


def lacking_vectors(store: KnowledgeStore, tenant: str, sources: Sequence[str] | None = None) -> list[int]:
    """The keys of a tenant's versions that have no vectors of the model in use: those of these sources, or
    all that were ever published.
    """
    if store.meaning is None:
        return []
    model = store.meaning.model
    with store.reading() as cursor:
        rows = cursor.execute(
            """SELECT v.key FROM versions v
            ANTI JOIN (SELECT key FROM vectors WHERE model = $model AND revision = $revision) h USING (key)
            WHERE v.tenant = $tenant AND CASE WHEN $sources::VARCHAR[] IS NULL
                THEN v.key IN (SELECT key FROM published)
                ELSE list_contains($sources::VARCHAR[], v.source) END
            ORDER BY v.key""",
            {
                "model": model.name,
                "revision": model.revision,
                "tenant": tenant,
                "sources": None if sources is None else list(sources),
            },
        ).fetchall()
    return [key for (key,) in rows]


def embed(
    store: KnowledgeStore, keys: Sequence[int], told: Callable[[int], None] = lambda _done: None
) -> None:
    """Compute and keep the vectors of these versions; what is done stays done when it is interrupted.

    A passage is encoded under its title and headings. `told` gets how many versions are done so far.
    """
    meaning = store.meaning
    if meaning is None:
        return
    for first in range(0, len(keys), _AT_ONCE):
        part = list(keys[first : first + _AT_ONCE])
        with store.reading() as cursor:
            rows = cursor.execute(_TEXTS, {"keys": part}).fetchall()
        vectors = meaning.model.encode([text for _, text in rows])
        of: dict[int, list[int]] = {key: [] for key in part}
        for number, (key, _) in enumerate(rows):
            of[key].append(number)
        with store.writing() as cursor:
            cursor.execute(
                """INSERT INTO vectors SELECT unnest($keys::INTEGER[]), $model, $revision, $dimension,
                    unnest($vectors::BLOB[])""",
                {
                    "keys": part,
                    "model": meaning.model.name,
                    "revision": meaning.model.revision,
                    "dimension": meaning.model.dimension,
                    "vectors": [vectors[numbers].astype("<f4").tobytes() for numbers in of.values()],
                },
            )
        told(first + len(part))


_TEXTS: Final = """
SELECT p.key, array_to_string(list_distinct(list_prepend(v.title, p.section)), '. ') || chr(10)
    || substr(v.text, p.span_start + 1, p.span_end - p.span_start)
FROM passages p JOIN versions v USING (key)
WHERE p.key IN (SELECT unnest($keys::INTEGER[])) ORDER BY p.key, p.ordinal
"""
