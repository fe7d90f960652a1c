"""What a provenance id resolves to, and where a quote stands.

A provenance id resolves for ever, also when its version was superseded or its source retired, and the answer
says so. A span resolves when the grant covers its source and the span lies within the version's text;
whatever fails either is absent, and absence has one form: None.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from context_store.grants import ReadGrant
from context_store.head import head_release
from context_store.provenance import ProvenanceId
from context_store.readable import READABLE, parameters
from context_store.store import KnowledgeStore
from context_store.tables import version_status
from ledger.transaction import Reading

Standing = Literal["current", "superseded", "retired", "expired", "not_yet_valid"]
"""Whether a version is in force, or why it is not."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a provenance id names: the exact text, whose it is, and how it stands now.

    `text_digest` is that of the whole version. `successor` is the version in force of the same source, where
    it is another one.
    """

    id: ProvenanceId
    quote: str
    title: str
    section: tuple[str, ...]
    collection: str
    authority: str
    text_digest: str
    standing: Standing
    successor: ProvenanceId | None
    valid_from_ms: int | None
    valid_until_ms: int | None


def locate_quote(text: str, quote: str, within: tuple[int, int] | None = None) -> tuple[int, int] | None:
    """The span of the first exact occurrence of `quote` in `text`, in code points; None if there is none.

    With `within`, the occurrence must lie inside that span, and the span inside the text. Nothing is folded
    or trimmed: a quote that differs in one character is no quote. An empty quote is none either.
    """
    start, end = within or (0, len(text))
    if not quote or not 0 <= start < end <= len(text):
        return None
    found = text.find(quote, start, end)
    return None if found < 0 else (found, found + len(quote))


def resolve(
    store: KnowledgeStore, reading: Reading, grant: ReadGrant, cited: ProvenanceId, now_ms: int
) -> Resolved | None:
    """The text that `cited` names, or None when it names nothing that this grant covers."""
    head = head_release(reading, grant.tenant)
    span = cited.span
    asked = {
        **parameters(grant, head, now_ms),
        "source": cited.source,
        "version": cited.version,
        "first": span[0] if span else 0,
        "last": span[1] if span else None,
    }
    with store.reading() as cursor:
        row = cursor.execute(_RESOLVE, asked).fetchone()
    if row is None:
        return None
    quote, title, section, collection, authority, text_digest, valid_from_ms, valid_until_ms = row
    standing, successor = _standing(reading, grant, cited, now_ms)
    if successor is not None and successor.source != cited.source:
        successor = successor if _is_covered(store, asked, successor) else None
    return Resolved(
        id=cited,
        quote=quote,
        title=title,
        section=tuple(section or ()),
        collection=collection,
        authority=authority,
        text_digest=text_digest,
        standing=standing,
        successor=successor,
        valid_from_ms=valid_from_ms,
        valid_until_ms=valid_until_ms,
    )


def locate(
    store: KnowledgeStore, reading: Reading, grant: ReadGrant, cited: ProvenanceId, quote: str, now_ms: int
) -> ProvenanceId | None:
    """The exact place of a quote: within the cited span, or anywhere in the cited version where no span is
    given.

    None when the quote is not there, and equally when the grant does not cover the source or nothing has that
    id.
    """
    found = resolve(store, reading, grant, cited, now_ms)
    place = locate_quote(found.quote, quote) if found else None
    if place is None:
        return None
    offset = cited.start or 0
    return cited.at(offset + place[0], offset + place[1])


def neighbourhood(
    store: KnowledgeStore, reading: Reading, grant: ReadGrant, cited: ProvenanceId, around: int, now_ms: int
) -> tuple[ProvenanceId, str] | None:
    """The text around a span: from `around` passages before those it touches to as many after, as one span;
    None when the span names nothing that this grant covers.
    """
    if cited.span is None:
        return None
    head = head_release(reading, grant.tenant)
    first, last = cited.span
    asked = {
        **parameters(grant, head, now_ms),
        "source": cited.source,
        "version": cited.version,
        "first": first,
        "last": last,
        "around": around,
    }
    with store.reading() as cursor:
        row = cursor.execute(_AROUND, asked).fetchone()
    if row is None:
        return None
    start, end, quote = row
    return cited.at(start, end), quote


def verify_quotes(
    store: KnowledgeStore,
    reading: Reading,
    grant: ReadGrant,
    quotes: Iterable[tuple[str, str]],
    now_ms: int,
) -> list[ProvenanceId | None]:
    """For each pair of a provenance id as text and a quote: the quote's exact place, or None."""
    found: list[ProvenanceId | None] = []
    for text, quote in quotes:
        cited = ProvenanceId.parse(text)
        found.append(locate(store, reading, grant, cited, quote, now_ms) if cited else None)
    return found


_RESOLVE = f"""
{READABLE}
SELECT substr(v.text, $first::BIGINT + 1, coalesce($last::BIGINT, length(v.text)) - $first::BIGINT),
    r.title,
    (SELECT p.section FROM passages p
        WHERE p.key = r.key AND p.span_start <= $first::BIGINT AND $first::BIGINT < p.span_end),
    r.collection, r.authority, v.text_digest, r.valid_from_ms, r.valid_until_ms
FROM readable r JOIN versions v USING (key)
WHERE r.source = $source AND r.version = $version
    AND coalesce($last::BIGINT, length(v.text)) <= length(v.text)
"""  # noqa: S608  (no text of a client is in it)


_AROUND = f"""
{READABLE}
, text AS (
    SELECT r.key, v.text FROM readable r JOIN versions v USING (key)
    WHERE r.source = $source AND r.version = $version AND $last::BIGINT <= length(v.text)
), touched AS (
    SELECT min(p.ordinal) - $around::INTEGER AS low, max(p.ordinal) + $around::INTEGER AS high
    FROM passages p JOIN text USING (key)
    WHERE p.span_start < $last::BIGINT AND $first::BIGINT < p.span_end
), wide AS (
    SELECT least(min(p.span_start), $first::BIGINT) AS low, greatest(max(p.span_end), $last::BIGINT) AS high
    FROM passages p JOIN text USING (key) JOIN touched t ON p.ordinal BETWEEN t.low AND t.high
)
SELECT coalesce(w.low, $first::BIGINT) AS low, coalesce(w.high, $last::BIGINT) AS high,
    substr(text, low + 1, high - low)
FROM text LEFT JOIN wide w ON true
"""  # noqa: S608

_COVERED = f"""
{READABLE}
SELECT 1 FROM readable WHERE source = $source AND version = $version
"""  # noqa: S608  (no text of a client is in it)


def _is_covered(store: KnowledgeStore, asked: dict[str, Any], version: ProvenanceId) -> bool:
    """Whether the grant in `asked` covers another source, which took the place of the one asked for."""
    named = {name: value for name, value in asked.items() if name not in ("first", "last")}
    with store.reading() as cursor:
        return (
            cursor.execute(
                _COVERED, {**named, "source": version.source, "version": version.version}
            ).fetchone()
            is not None
        )


def _standing(
    reading: Reading, grant: ReadGrant, cited: ProvenanceId, now_ms: int
) -> tuple[Standing, ProvenanceId | None]:
    status = version_status.c
    rows = reading.all(
        version_status.select().where(
            (status.tenant == grant.tenant)
            & (status.source == cited.source)
            & ((status.version == cited.version) | (status.status == "published"))
        )
    )
    own = next(row for row in rows if row.version == cited.version)
    in_force = [row for row in rows if row.status == "published" and row.published_in <= grant.release]
    successor = next((ProvenanceId(cited.source, row.version) for row in in_force if row is not own), None)
    if successor is None and own.superseded_by is not None:
        successor = ProvenanceId.parse(own.superseded_by)
    return standing_of(own.status, own.valid_from_ms, own.valid_until_ms, now_ms), successor


def standing_in(reading: Reading, tenant: str, cited: ProvenanceId, now_ms: int) -> Standing | None:
    """How a version stands now; None when the ledger knows none of that id."""
    c = version_status.c
    row = reading.one(
        version_status.select().where(
            (c.tenant == tenant) & (c.source == cited.source) & (c.version == cited.version)
        )
    )
    return None if row is None else standing_of(row.status, row.valid_from_ms, row.valid_until_ms, now_ms)


def standing_of(status: str, valid_from_ms: int | None, valid_until_ms: int | None, now_ms: int) -> Standing:
    """How a version stands at `now_ms`, from its status in the ledger (published, superseded or retired) and
    its validity.
    """
    if status == "retired":
        return "retired"
    if status == "superseded":
        return "superseded"
    if valid_until_ms is not None and valid_until_ms <= now_ms:
        return "expired"
    if valid_from_ms is not None and now_ms < valid_from_ms:
        return "not_yet_valid"
    return "current"
