"""Drafts in DuckDB: a version's row, its passages, its facts and its share of the index, written in one
transaction.

Everything of a version is written when it is drafted and never changes; publishing only says from which
release on it counts.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from context_store import normalise, passages, terms
from context_store.duplicates import sketch
from context_store.passages import Passage
from context_store.provenance import ProvenanceId
from context_store.store import Cursor
from context_store.terms import term_id, words
from context_store.terms import terms as terms_of
from ledger.canonical import JsonObject, parse_strict

INDEXED_BY: Final = f"{passages.RULE} {terms.RULE}"
"""The rules by which passages were cut and their terms taken; recorded with each version."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A version that is about to be written. `facts` are (name, canonical JSON of the value)."""

    tenant: str
    source: str
    version: int
    owner: str
    origin: str
    author: str
    authority: str
    title: str
    text: str
    text_digest: str
    extracted_by: str
    labels: tuple[str, ...]
    collection: str
    facts: tuple[tuple[str, str], ...]
    valid_from_ms: int | None
    valid_until_ms: int | None
    passages: tuple[Passage, ...]
    raw_digest: str

    @property
    def id(self) -> ProvenanceId:
        """The version's id."""
        return ProvenanceId(self.source, self.version)

    def as_json(self) -> JsonObject:
        """What the log keeps of it: everything but the text, of which it has the digest."""
        return {
            "source": self.source,
            "version": self.version,
            "text_digest": self.text_digest,
            "title": self.title,
            "authority": self.authority,
            "labels": list(self.labels),
            "collection": self.collection,
            "facts": {name: parse_strict(value) for name, value in self.facts},
            "valid_from_ms": self.valid_from_ms,
            "valid_until_ms": self.valid_until_ms,
            "normalised_by": normalise.RULE,
            "extracted_by": self.extracted_by,
            "indexed_by": INDEXED_BY,
            "raw_digest": self.raw_digest,
        }


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest version of a source as the store has it, without its text."""

    version: int
    owner: str
    origin: str
    content: tuple[object, ...]

    def same_as(self, draft: Draft) -> bool:
        """Whether importing `draft` would change nothing."""
        return self.content == _content(draft)


def _content(draft: Draft) -> tuple[object, ...]:
    return (
        draft.text_digest,
        draft.title,
        list(draft.labels),
        draft.collection,
        _spelled(draft.facts),
        draft.valid_from_ms,
        draft.valid_until_ms,
        draft.authority,
    )


def latest_versions(cursor: Cursor, tenant: str, sources: Collection[str]) -> dict[str, Latest]:
    """The newest version of each of these sources that there is, drafts included."""
    rows = cursor.execute(
        """SELECT s.source, v.version, s.owner, s.origin, v.text_digest, v.title, v.labels, v.collection,
            v.facts, v.valid_from_ms, v.valid_until_ms, v.authority
        FROM sources s JOIN versions v USING (tenant, source)
        WHERE tenant = $tenant AND source IN (SELECT unnest($sources::VARCHAR[]))
        QUALIFY row_number() OVER (PARTITION BY s.source ORDER BY v.version DESC) = 1""",
        {"tenant": tenant, "sources": sorted(sources)},
    ).fetchall()
    return {row[0]: Latest(row[1], row[2], row[3], tuple(row[4:])) for row in rows}


def existing(cursor: Cursor, versions: Sequence[ProvenanceId], tenant: str) -> list[ProvenanceId]:
    """Those of these versions that this file has."""
    rows = cursor.execute(
        """SELECT v.source, v.version FROM versions v
        JOIN (SELECT unnest($sources::VARCHAR[]) AS source, unnest($versions::INTEGER[]) AS version) a
            ON v.source = a.source AND v.version = a.version
        WHERE v.tenant = $tenant""",
        {
            "tenant": tenant,
            "sources": [version.source for version in versions],
            "versions": [version.version for version in versions],
        },
    ).fetchall()
    return [ProvenanceId(source, version) for source, version in rows]


def read_before(
    cursor: Cursor, tenant: str, origin: str, raw_digest: str, reader: str
) -> tuple[str, str, tuple[Passage, ...]] | None:
    """Title, text and passages that these very bytes from this place gave before, under today's rules."""
    row = cursor.execute(
        """SELECT v.key, v.title, v.text FROM sources s JOIN versions v USING (tenant, source)
        WHERE tenant = $tenant AND s.origin = $origin AND v.raw_digest = $raw_digest
            AND v.extracted_by = $reader AND v.normalised_by = $normalised_by AND v.indexed_by = $indexed_by
        ORDER BY v.version DESC LIMIT 1""",
        {
            "tenant": tenant,
            "origin": origin,
            "raw_digest": raw_digest,
            "reader": reader,
            "normalised_by": normalise.RULE,
            "indexed_by": INDEXED_BY,
        },
    ).fetchone()
    if row is None:
        return None
    key, title, text = row
    spans = cursor.execute(
        "SELECT span_start, span_end, section FROM passages WHERE key = $key ORDER BY ordinal", {"key": key}
    ).fetchall()
    return title, text, tuple(Passage(start, end, tuple(section)) for start, end, section in spans)


def bytes_digest(raw: bytes) -> str:
    """`sha256:…` of bytes as they came."""
    return "sha256:" + hashlib.sha256(raw).hexdigest()


def next_key(cursor: Cursor) -> int:
    """A number for a new version in this file."""
    row = cursor.execute("SELECT coalesce(max(key), 0) + 1 FROM versions").fetchone()
    return int(row[0]) if row else 1


def write_drafts(
    cursor: Cursor, drafts: Sequence[Draft], first_key: int, new_sources: Collection[str]
) -> None:
    """Write versions with their passages, postings and facts; they become visible to nobody by this.

    They get the keys from `first_key` on, in order. One statement for each table, however many there are.
    """
    indexed = [[_terms_of_passage(draft, passage) for passage in draft.passages] for draft in drafts]
    keyed = list(enumerate(drafts, first_key))
    _write_sources(cursor, [draft for draft in drafts if draft.source in new_sources])
    _write_versions(cursor, keyed, indexed)
    _write_passages(cursor, keyed)
    _write_postings(cursor, first_key, indexed)
    _write_facts(cursor, keyed)
    _write_sketches(cursor, keyed)


def _write_sources(cursor: Cursor, drafts: Sequence[Draft]) -> None:
    if drafts:
        columns = ("tenant", "source", "owner", "origin")
        cursor.execute(
            "INSERT INTO sources SELECT unnest($tenant::VARCHAR[]), unnest($source::VARCHAR[]),"
            " unnest($owner::VARCHAR[]), unnest($origin::VARCHAR[])",
            {column: [getattr(draft, column) for draft in drafts] for column in columns},
        )


def _write_versions(
    cursor: Cursor, keyed: Sequence[tuple[int, Draft]], indexed: Sequence[list[list[str]]]
) -> None:
    cursor.execute(
        """INSERT INTO versions SELECT unnest($key::INTEGER[]), unnest($tenant::VARCHAR[]),
            unnest($source::VARCHAR[]), unnest($version::INTEGER[]), unnest($title::VARCHAR[]),
            unnest($text::VARCHAR[]), unnest($text_digest::VARCHAR[]), $normalised_by,
            unnest($extracted_by::VARCHAR[]), $indexed_by, unnest($authority::VARCHAR[]),
            unnest($labels::VARCHAR[][]), unnest($collection::VARCHAR[]), unnest($facts::VARCHAR[]),
            unnest($valid_from_ms::BIGINT[]), unnest($valid_until_ms::BIGINT[]), unnest($passages::INTEGER[]),
            unnest($terms::BIGINT[]), unnest($raw_digest::VARCHAR[])""",
        {
            **{column: [getattr(draft, column) for _, draft in keyed] for column in _AS_THEY_ARE},
            "key": [key for key, _ in keyed],
            "labels": [list(draft.labels) for _, draft in keyed],
            "facts": [_spelled(draft.facts) for _, draft in keyed],
            "passages": [len(draft.passages) for _, draft in keyed],
            "terms": [sum(map(len, found)) for found in indexed],
            "normalised_by": normalise.RULE,
            "indexed_by": INDEXED_BY,
        },
    )


_AS_THEY_ARE: Final = (
    *("tenant", "source", "version", "title", "text", "text_digest", "extracted_by", "authority"),
    *("collection", "valid_from_ms", "valid_until_ms", "raw_digest"),
)


def _write_passages(cursor: Cursor, keyed: Sequence[tuple[int, Draft]]) -> None:
    rows = [(key, ordinal, passage) for key, draft in keyed for ordinal, passage in enumerate(draft.passages)]
    cursor.execute(
        """INSERT INTO passages SELECT unnest($keys::INTEGER[]), unnest($ordinals::INTEGER[]),
            unnest($starts::BIGINT[]), unnest($ends::BIGINT[]), unnest($sections::VARCHAR[][])""",
        {
            "keys": [key for key, _, _ in rows],
            "ordinals": [ordinal for _, ordinal, _ in rows],
            "starts": [passage.start for _, _, passage in rows],
            "ends": [passage.end for _, _, passage in rows],
            "sections": [list(passage.section) for _, _, passage in rows],
        },
    )


def drop_version(cursor: Cursor, tenant: str, source: str, version: int, *, with_source: bool) -> None:
    """Remove every trace of a version that the ledger does not know; a no-op where there is none."""
    named = {"tenant": tenant, "source": source, "version": version}
    keys = cursor.execute(
        "SELECT key FROM versions WHERE tenant = $tenant AND source = $source AND version = $version", named
    ).fetchall()
    for (key,) in keys:
        for table in ("postings", "passages", "vectors", "facts", "sketches", "published", "versions"):
            cursor.execute(f"DELETE FROM {table} WHERE key = $key", {"key": key})  # noqa: S608
    if with_source:
        cursor.execute(
            "DELETE FROM sources WHERE tenant = $tenant AND source = $source",
            {"tenant": tenant, "source": source},
        )


def _terms_of_passage(draft: Draft, passage: Passage) -> list[str]:
    """A passage is found by its own words, by the headings above it, and by its document's title."""
    above = dict.fromkeys((draft.title, *passage.section))
    return terms_of(" \n".join((*above, draft.text[passage.start : passage.end])))


def _write_postings(cursor: Cursor, first_key: int, indexed: Sequence[list[list[str]]]) -> None:
    rows = [
        (term_id(term), key, ordinal, count, len(found))
        for key, passages_of in enumerate(indexed, first_key)
        for ordinal, found in enumerate(passages_of)
        for term, count in Counter(found).items()
    ]
    if not rows:
        return
    # Sorted by term, so that a query for few terms reads few blocks.
    rows.sort()
    cursor.execute(
        """INSERT INTO postings SELECT unnest(string_split($terms, ' ')::BIGINT[]),
            unnest(string_split($keys, ' ')::INTEGER[]), unnest(string_split($ordinals, ' ')::INTEGER[]),
            unnest(string_split($counts, ' ')::INTEGER[]), unnest(string_split($lengths, ' ')::INTEGER[])""",
        {
            name: _spaced(row[at] for row in rows)
            for at, name in enumerate(("terms", "keys", "ordinals", "counts", "lengths"))
        },
    )


def _write_facts(cursor: Cursor, keyed: Sequence[tuple[int, Draft]]) -> None:
    for key, draft in keyed:
        if not draft.facts:
            continue
        said = [f" {' '.join(words(draft.text[passage.start : passage.end]))} " for passage in draft.passages]
        for name, value in draft.facts:
            spoken = " ".join(words(value))
            stated: list[int | None] = [n for n, text in enumerate(said) if spoken and f" {spoken} " in text]
            for ordinal in stated or [None]:
                cursor.execute(
                    "INSERT INTO facts VALUES ($key, $name, $value, $ordinal)",
                    {"key": key, "name": name, "value": value, "ordinal": ordinal},
                )


def _write_sketches(cursor: Cursor, keyed: Sequence[tuple[int, Draft]]) -> None:
    rows = [(mark, key) for key, draft in keyed for mark in sketch(draft.text)]
    if rows:
        cursor.execute(
            """INSERT INTO sketches SELECT unnest(string_split($marks, ' ')::BIGINT[]),
                unnest(string_split($keys, ' ')::INTEGER[])""",
            {"marks": _spaced(mark for mark, _ in rows), "keys": _spaced(key for _, key in rows)},
        )


def _spaced(numbers: Iterable[int]) -> str:
    """Many numbers as one text, which the engine divides again: measured, half the time of a list."""
    return " ".join(map(str, numbers))


def _spelled(facts: tuple[tuple[str, str], ...]) -> str:
    return "\n".join(f"{name}={value}" for name, value in facts)
