"""Drafts in DuckDB: a version's row, its passages, its facts and its share of the index, written in one
transaction.

Everything of a version is written when it is drafted and never changes; publishing only says from which
release on it counts.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from context_store import normalise, passages, terms
from context_store.passages import Passage
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


def latest_version(cursor: Cursor, tenant: str, source: str) -> Latest | None:
    """The newest version of a source, drafts included."""
    row = cursor.execute(
        """SELECT v.version, s.owner, s.origin, v.text_digest, v.title, v.labels, v.collection, v.facts,
            v.valid_from_ms, v.valid_until_ms, v.authority
        FROM sources s JOIN versions v USING (tenant, source)
        WHERE tenant = $tenant AND source = $source ORDER BY v.version DESC LIMIT 1""",
        {"tenant": tenant, "source": source},
    ).fetchone()
    return None if row is None else Latest(row[0], row[1], row[2], tuple(row[3:]))


def next_key(cursor: Cursor) -> int:
    """A number for a new version in this file."""
    row = cursor.execute("SELECT coalesce(max(key), 0) + 1 FROM versions").fetchone()
    return int(row[0]) if row else 1


def write_draft(cursor: Cursor, draft: Draft, key: int, *, new_source: bool) -> None:
    """Write a version with its passages, postings and facts; it becomes visible to nobody by this."""
    if new_source:
        cursor.execute(
            "INSERT INTO sources VALUES ($tenant, $source, $owner, $origin)",
            {"tenant": draft.tenant, "source": draft.source, "owner": draft.owner, "origin": draft.origin},
        )
    indexed = [_terms_of_passage(draft, passage) for passage in draft.passages]
    cursor.execute(
        """INSERT INTO versions VALUES ($key, $tenant, $source, $version, $title, $text, $text_digest,
            $normalised_by, $extracted_by, $indexed_by, $authority, $labels, $collection, $facts,
            $valid_from_ms, $valid_until_ms, $passages, $terms)""",
        {
            "key": key,
            "tenant": draft.tenant,
            "source": draft.source,
            "version": draft.version,
            "title": draft.title,
            "text": draft.text,
            "text_digest": draft.text_digest,
            "normalised_by": normalise.RULE,
            "extracted_by": draft.extracted_by,
            "indexed_by": INDEXED_BY,
            "authority": draft.authority,
            "labels": list(draft.labels),
            "collection": draft.collection,
            "facts": _spelled(draft.facts),
            "valid_from_ms": draft.valid_from_ms,
            "valid_until_ms": draft.valid_until_ms,
            "passages": len(draft.passages),
            "terms": sum(map(len, indexed)),
        },
    )
    cursor.execute(
        """INSERT INTO passages SELECT $key, unnest($ordinals::INTEGER[]),
            unnest($starts::BIGINT[]), unnest($ends::BIGINT[]), unnest($sections::VARCHAR[][])""",
        {
            "key": key,
            "ordinals": list(range(len(draft.passages))),
            "starts": [passage.start for passage in draft.passages],
            "ends": [passage.end for passage in draft.passages],
            "sections": [list(passage.section) for passage in draft.passages],
        },
    )
    _write_postings(cursor, key, indexed)
    _write_facts(cursor, key, draft)


def drop_version(cursor: Cursor, tenant: str, source: str, version: int, *, with_source: bool) -> None:
    """Remove every trace of a version that the ledger does not know; a no-op where there is none."""
    named = {"tenant": tenant, "source": source, "version": version}
    keys = cursor.execute(
        "SELECT key FROM versions WHERE tenant = $tenant AND source = $source AND version = $version", named
    ).fetchall()
    for (key,) in keys:
        for table in ("postings", "passages", "vectors", "facts", "published", "versions"):
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


def _write_postings(cursor: Cursor, key: int, indexed: list[list[str]]) -> None:
    rows = [
        (term_id(term), ordinal, count, len(found))
        for ordinal, found in enumerate(indexed)
        for term, count in Counter(found).items()
    ]
    # Sorted by term, so that a query for few terms reads few blocks.
    rows.sort()
    cursor.execute(
        """INSERT INTO postings SELECT unnest($terms::BIGINT[]), $key, unnest($ordinals::INTEGER[]),
            unnest($counts::INTEGER[]), unnest($lengths::INTEGER[])""",
        {
            "key": key,
            "terms": [row[0] for row in rows],
            "ordinals": [row[1] for row in rows],
            "counts": [row[2] for row in rows],
            "lengths": [row[3] for row in rows],
        },
    )


def _write_facts(cursor: Cursor, key: int, draft: Draft) -> None:
    if not draft.facts:
        return
    said = [f" {' '.join(words(draft.text[passage.start : passage.end]))} " for passage in draft.passages]
    for name, value in draft.facts:
        spoken = " ".join(words(value))
        stated: list[int | None] = [n for n, text in enumerate(said) if spoken and f" {spoken} " in text]
        for ordinal in stated or [None]:
            cursor.execute(
                "INSERT INTO facts VALUES ($key, $name, $value, $ordinal)",
                {"key": key, "name": name, "value": value, "ordinal": ordinal},
            )


def _spelled(facts: tuple[tuple[str, str], ...]) -> str:
    return "\n".join(f"{name}={value}" for name, value in facts)
