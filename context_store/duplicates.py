"""Which other sources say the same, or nearly: rule `sketch-1`, for the people who curate.

A text is sketched by the `MARKS` smallest hashes of its runs of `RUN` words (Broder, On the resemblance and
containment of documents, 1997); how many two sketches share estimates how much their texts do. Texts are
compared within the curation grant alone: what an agent proposes is compared with nothing in its answer, so a
proposal tells nobody whether a text exists that they may not read.
"""

import heapq
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Literal

from context_store.grants import CurationGrant
from context_store.provenance import ProvenanceId
from context_store.store import Cursor
from context_store.terms import words

RUN: Final = 4
MARKS: Final = 32
NEAR: Final = 0.7
"""The estimated share of common runs from which two texts are near duplicates."""

MOST_SHARED: Final = 0.99
"""The largest share that is told of near duplicates."""

MAX_NAMED: Final = 5
"""How many duplicates of one version are named."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A version of another source that says the same: `exact`, or `near` with the share of what both say."""

    id: ProvenanceId
    kind: Literal["exact", "near"]
    share: float


def sketch(text: str) -> tuple[int, ...]:
    """The marks of a text, smallest first; none for a text that is too short to be compared by them."""
    said = words(text)
    if len(said) < 2 * RUN:
        return ()
    runs = {" ".join(said[place : place + RUN]) for place in range(len(said) - RUN + 1)}
    marks = (
        int.from_bytes(blake2b(run.encode(), digest_size=8).digest(), "big", signed=True) for run in runs
    )
    return tuple(heapq.nsmallest(MARKS, marks))


def find_duplicates(
    cursor: Cursor, grant: CurationGrant, versions: Sequence[ProvenanceId]
) -> dict[ProvenanceId, tuple[Duplicate, ...]]:
    """For each of these versions, its duplicates among the newest and the published versions of other
    sources.

    Exact ones come first, then the nearest, then in the order of their ids.
    """
    asked = {
        "tenant": grant.tenant,
        "sources": [version.source for version in versions],
        "versions": [version.version for version in versions],
    }
    found: defaultdict[ProvenanceId, dict[ProvenanceId, Duplicate]] = defaultdict(dict)
    for source, version, other, number in cursor.execute(_EXACT, asked).fetchall():
        same = ProvenanceId(other, number)
        found[ProvenanceId(source, version)][same] = Duplicate(same, "exact", 1.0)
    for source, version, other, number, own, theirs in cursor.execute(_NEAR, asked).fetchall():
        near, share = ProvenanceId(other, number), _shared(own, theirs)
        if share >= NEAR:
            found[ProvenanceId(source, version)].setdefault(near, Duplicate(near, "near", share))
    return {
        version: tuple(sorted(others.values(), key=lambda one: (one.kind, -one.share, one.id))[:MAX_NAMED])
        for version, others in found.items()
    }


def _shared(own: Sequence[int], theirs: Sequence[int]) -> float:
    """The estimate: of the smallest marks of both together, the share that both have.

    Texts that are not the same never share all, also where no mark happens to tell them apart.
    """
    smallest = heapq.nsmallest(MARKS, {*own, *theirs})
    both = {*own} & {*theirs}
    return min(round(sum(mark in both for mark in smallest) / len(smallest), 2), MOST_SHARED)


_OTHERS = """
WITH asked AS (
    SELECT v.key, v.source, v.version, v.text_digest FROM versions v
    JOIN (SELECT unnest($sources::VARCHAR[]) AS source, unnest($versions::INTEGER[]) AS version) a
        ON v.source = a.source AND v.version = a.version
    WHERE v.tenant = $tenant
), standing AS (
    SELECT v.key, v.source, v.version, v.text_digest FROM versions v LEFT JOIN published p USING (key)
    WHERE v.tenant = $tenant
    QUALIFY row_number() OVER (PARTITION BY v.source ORDER BY v.version DESC) = 1
        OR (p.key IS NOT NULL AND p.withdrawn_in IS NULL)
)
"""

_EXACT = f"""
{_OTHERS}
SELECT a.source, a.version, o.source, o.version
FROM asked a JOIN standing o ON o.text_digest = a.text_digest AND o.source <> a.source
"""  # noqa: S608

_NEAR = f"""
{_OTHERS}
, own AS (
    SELECT s.mark, s.key FROM sketches s WHERE s.key IN (SELECT key FROM asked)
), alike AS (
    SELECT own.key, s.key AS other FROM own JOIN sketches s USING (mark)
    WHERE s.key <> own.key GROUP BY ALL HAVING count(*) >= {MARKS // 4}
)
SELECT a.source, a.version, o.source, o.version,
    (SELECT list(mark) FROM sketches WHERE key = a.key), (SELECT list(mark) FROM sketches WHERE key = o.key)
FROM alike l JOIN asked a ON a.key = l.key JOIN standing o ON o.key = l.other
WHERE o.source <> a.source
"""  # noqa: S608
