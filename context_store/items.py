"""Items: the quotes that a bundle shows, read from the store under the grant."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from context_store.grants import ReadGrant
from context_store.provenance import SOURCE_ID, ProvenanceId
from context_store.readable import READABLE, parameters
from context_store.store import Cursor
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

    def says(self) -> str:
        """What it says, but for case, spacing, emphasis and closing marks: items that say the same are shown
        once.

        Signs such as `%`, `-` or `?` stay: two texts that differ in one may mean the opposite.
        """
        return " ".join(_NO_MEANING.sub("", self.quote).casefold().split())


def validity(from_ms: int | None, until_ms: int | None) -> JsonObject:
    """A window of validity as bundles spell it; null where it is open."""
    return {
        "from": None if from_ms is None else rfc3339(from_ms),
        "until": None if until_ms is None else rfc3339(until_ms),
    }


def items_at(
    cursor: Cursor, grant: ReadGrant, head: int, places: Sequence[Place], now_ms: int
) -> dict[Place, Item]:
    """The items at these places, as far as they are in force and the grant covers them."""
    if not places:
        return {}
    asked = {
        **parameters(grant, head, now_ms),
        "keys": [key for key, _ in places],
        "ordinals": [ordinal for _, ordinal in places],
    }
    return {item.place: item for item in map(_item, cursor.execute(_AT, asked).fetchall())}


def pinned_items(cursor: Cursor, grant: ReadGrant, head: int, pin: str, now_ms: int) -> list[Item]:
    """What a pin stands for: `policy-14`, all passages of the version in force; `policy-14@3`, those of that
    one; `policy-14@3:120-188`, that span.

    Empty when the grant does not cover it, it is not in force, or nothing has that name.
    """
    named = _named_by(pin)
    if named is None:
        return []
    source, cited = named
    asked: dict[str, Any] = {
        **parameters(grant, head, now_ms),
        "source": source,
        "version": cited.version if cited else None,
    }
    if cited is not None and cited.span is not None:
        first, last = cited.span
        rows = cursor.execute(_SPAN, {**asked, "first": first, "last": last}).fetchall()
    else:
        rows = cursor.execute(_WHOLE, asked).fetchall()
    return [_item(row) for row in rows]


def was_in_force(cursor: Cursor, grant: ReadGrant, head: int, pin: str, now_ms: int) -> bool:
    """Whether a pin names something that the grant covers and that was in force before."""
    named = _named_by(pin)
    if named is None:
        return False
    source, cited = named
    asked = {**parameters(grant, head, now_ms), "source": source, "version": cited.version if cited else None}
    return cursor.execute(_FORMERLY, asked).fetchone() is not None


def _named_by(pin: str) -> tuple[str, ProvenanceId | None] | None:
    """The source that a pin names, and the version or span of it where it names one."""
    if SOURCE_ID.fullmatch(pin):
        return pin, None
    cited = ProvenanceId.parse(pin)
    return None if cited is None else (cited.source, cited)


_NO_MEANING = re.compile(r"[*`]+|[.,;:!]+(?=\s|$)")

_COLUMNS = "r.title, r.collection, r.authority, r.valid_from_ms, r.valid_until_ms"

_PASSAGES = f"""
SELECT r.key, p.ordinal, r.source, r.version, p.span_start, p.span_end,
    substr(v.text, p.span_start + 1, p.span_end - p.span_start), p.section, {_COLUMNS}
FROM current r JOIN versions v USING (key) JOIN passages p USING (key)
"""  # noqa: S608

_AT = f"""
{READABLE}
, wanted AS (SELECT unnest($keys::INTEGER[]) AS key, unnest($ordinals::INTEGER[]) AS ordinal)
{_PASSAGES} JOIN wanted w ON w.key = p.key AND w.ordinal = p.ordinal
"""

_WHOLE = f"""
{READABLE}
{_PASSAGES} WHERE r.source = $source AND coalesce(r.version = $version::INTEGER, true)
ORDER BY r.version, p.ordinal
"""

_SPAN = f"""
{READABLE}
SELECT r.key, coalesce(p.ordinal, -1), r.source, r.version, $first::BIGINT, $last::BIGINT,
    substr(v.text, $first::BIGINT + 1, $last::BIGINT - $first::BIGINT), coalesce(p.section, []), {_COLUMNS}
FROM current r JOIN versions v USING (key)
    LEFT JOIN passages p ON p.key = r.key AND p.span_start <= $first::BIGINT AND $first::BIGINT < p.span_end
WHERE r.source = $source AND r.version = $version::INTEGER AND $last::BIGINT <= length(v.text)
"""  # noqa: S608

_FORMERLY = f"""
{READABLE}
SELECT 1 FROM former WHERE source = $source AND coalesce(version = $version::INTEGER, true) LIMIT 1
"""  # noqa: S608


def _item(row: tuple[Any, ...]) -> Item:
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
        collection,
        authority,
        valid_from,
        valid_until,
    ) = row
    return Item(
        id=ProvenanceId(source, version, start, end),
        quote=quote,
        title=title,
        section=tuple(section),
        collection=collection,
        authority=authority,
        valid_from_ms=valid_from,
        valid_until_ms=valid_until,
        place=(key, ordinal),
    )
