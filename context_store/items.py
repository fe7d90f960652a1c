"""Items: the quotes that a bundle shows, read from the store under the grant."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from context_store.cursor import Cursor
from context_store.grants import ReadGrant
from context_store.provenance import SOURCE_ID, ProvenanceId
from context_store.reach import Reach
from ledger.canonical import JsonObject
from ledger.clock import rfc3339

Place = tuple[int, int]
"""A passage's place in the open store: the key of its version, and its number in it."""


@dataclass(frozen=True, slots=True)
class Item:
    """One quote with what a reader needs to weigh it.

    `also` names the places that say the same, word for word.

    `place` is where the passage stands in the open store; it is no part of what is served.
    """

    id: ProvenanceId
    quote: str
    title: str
    section: tuple[str, ...]
    collection: str
    authority: str
    valid_from_ms: int | None
    valid_until_ms: int | None
    place: Place
    also: tuple[ProvenanceId, ...] = ()

    def as_json(self) -> JsonObject:
        """The item as it stands in a bundle."""
        return {
            "id": str(self.id),
            "quote": self.quote,
            "title": self.title,
            "section": list(self.section),
            "collection": self.collection,
            "authority": self.authority,
            "valid": validity(self.valid_from_ms, self.valid_until_ms),
            "also": [str(other) for other in self.also],
        }

    def with_also(self, others: Iterable[ProvenanceId]) -> "Item":
        """The same item, naming more places that say the same."""
        return replace(self, also=tuple(sorted({*self.also, *others})))

    def part(self, start: int, end: int) -> "Item":
        """A span of the same version within this item, as an item of its own."""
        first = self.id.start or 0
        quote = self.quote[start - first : end - first]
        return replace(self, id=self.id.at(start, end), quote=quote, also=())

    def holds(self, other: ProvenanceId) -> bool:
        """Whether a span lies within this item."""
        mine, theirs = self.id.span, other.span
        return (
            other.whole() == self.id.whole()
            and mine is not None
            and theirs is not None
            and mine[0] <= theirs[0]
            and theirs[1] <= mine[1]
        )


def says(quote: str) -> str:
    """What a quote says, but for case, spacing, emphasis, articles and closing marks: quotes that say the
    same are shown once.

    Signs such as `%`, `-` or `?` and all other words stay: texts that differ in one may mean the opposite.
    """
    return " ".join(_NO_MEANING.sub("", quote).casefold().split())


def validity(from_ms: int | None, until_ms: int | None) -> JsonObject:
    """A window of validity as bundles spell it; null where it is open."""
    return {
        "from": None if from_ms is None else rfc3339(from_ms),
        "until": None if until_ms is None else rfc3339(until_ms),
    }


def passages_at(cursor: Cursor, reach: Reach, places: Sequence[Place]) -> dict[Place, Item]:
    """The passages at these places, as far as they are reached, each as one item."""
    wanted = [place for place in dict.fromkeys(places) if reach.covers(place[0])]
    if not wanted:
        return {}
    asked = {"keys": [key for key, _ in wanted], "ordinals": [ordinal for _, ordinal in wanted]}
    rows = cursor.execute(_AT, asked).fetchall()
    return {item.place: item for item in (_item(reach, row) for row in rows)}


def pinned_items(cursor: Cursor, reach: Reach, grant: ReadGrant, pin: str) -> list[Item]:
    """What a pin stands for: `policy-14`, all passages of the version in force; `policy-14@3`, those of that
    one; `policy-14@3:120-188`, that span.

    Empty when the grant does not cover it, it is not in force, or nothing has that name.
    """
    named = _named_by(pin)
    if named is None:
        return []
    source, cited = named
    keys = _reached(cursor, reach, grant, source, cited)
    if not keys:
        return []
    asked: dict[str, Any] = {"keys": keys}
    if cited is not None and cited.span is not None:
        first, last = cited.span
        rows = cursor.execute(_SPAN, {**asked, "first": first, "last": last}).fetchall()
    else:
        rows = cursor.execute(_WHOLE, asked).fetchall()
    return [_item(reach, row) for row in rows]


def was_in_force(cursor: Cursor, former: Reach, grant: ReadGrant, pin: str) -> bool:
    """Whether a pin names something that the grant covers and that was in force before."""
    named = _named_by(pin)
    return named is not None and bool(_reached(cursor, former, grant, *named))


def _reached(
    cursor: Cursor, reach: Reach, grant: ReadGrant, source: str, cited: ProvenanceId | None
) -> list[int]:
    asked = {"tenant": grant.tenant, "source": source, "version": cited.version if cited else None}
    rows = cursor.execute(_NAMED, asked).fetchall()
    return [key for (key,) in rows if reach.covers(key)]


def _named_by(pin: str) -> tuple[str, ProvenanceId | None] | None:
    """The source that a pin names, and the version or span of it where it names one."""
    if SOURCE_ID.fullmatch(pin):
        return pin, None
    cited = ProvenanceId.parse(pin)
    return None if cited is None else (cited.source, cited)


_NO_MEANING = re.compile(r"[*`]+|[.,;:!]+(?=\s|$)|\b(?:an?|the)\b", re.IGNORECASE)

# Every query below gets keys of versions that a reach covers, and reads nothing else.

_COLUMNS = "v.title, v.authority, v.valid_from_ms, v.valid_until_ms"

_PASSAGES = f"""
SELECT v.key, p.ordinal, v.source, v.version, p.span_start, p.span_end,
    substr(v.text, p.span_start + 1, p.span_end - p.span_start), p.section, {_COLUMNS}
FROM versions v JOIN passages p USING (key)
"""  # noqa: S608

_AT = f"""
WITH wanted AS (SELECT unnest($keys::INTEGER[]) AS key, unnest($ordinals::INTEGER[]) AS ordinal)
{_PASSAGES} JOIN wanted w ON w.key = p.key AND w.ordinal = p.ordinal
"""

_WHOLE = f"{_PASSAGES} WHERE v.key IN (SELECT unnest($keys::INTEGER[])) ORDER BY v.version, p.ordinal"

_SPAN = f"""
SELECT v.key, coalesce(p.ordinal, -1), v.source, v.version, $first::BIGINT, $last::BIGINT,
    substr(v.text, $first::BIGINT + 1, $last::BIGINT - $first::BIGINT), coalesce(p.section, []), {_COLUMNS}
FROM versions v
    LEFT JOIN passages p ON p.key = v.key AND p.span_start <= $first::BIGINT AND $first::BIGINT < p.span_end
WHERE v.key IN (SELECT unnest($keys::INTEGER[])) AND $last::BIGINT <= length(v.text)
"""  # noqa: S608

_NAMED = """
SELECT key FROM versions
WHERE tenant = $tenant AND source = $source AND coalesce(version = $version::INTEGER, true)
"""


def _item(reach: Reach, row: tuple[Any, ...]) -> Item:
    (
        key,
        ordinal,
        source,
        version,
        start,
        end,
        quote,
        section,
        title,
        authority,
        valid_from,
        valid_until,
    ) = row
    return Item(
        id=ProvenanceId(source, version, start, end),
        quote=quote,
        title=title,
        section=tuple(section),
        collection=reach.collection_of(key),
        authority=authority,
        valid_from_ms=valid_from,
        valid_until_ms=valid_until,
        place=(key, ordinal),
    )
