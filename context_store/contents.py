"""What a release holds, how two of them differ, and a release as a file that another installation can read.

Which versions a release holds follows from where they were published and withdrawn, so it can be asked of
every release that there ever was.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

import yaml

from context_store.curation import as_status
from context_store.errors import ImportRefused
from context_store.grants import CurationGrant
from context_store.intake import Incoming
from context_store.provenance import ProvenanceId
from context_store.sources import VersionShown, show_version
from context_store.store import KnowledgeStore
from context_store.tables import version_status
from ledger.canonical import JsonObject, canonical, text_digest
from ledger.clock import rfc3339
from ledger.transaction import Reading

EXPORT_VERSION: Final = 1
_KIND: Final = "bailiwick-release"
_FIELDS: Final = frozenset(
    {
        *("source", "version", "title", "text", "text_digest", "labels", "collection", "facts"),
        *("valid_from_ms", "valid_until_ms", "authority", "owner", "origin", "extracted_by"),
    }
)


@dataclass(frozen=True, slots=True)
class ReleaseDiff:
    """How one release differs from another: sources that came and went, and versions that replaced others."""

    added: tuple[ProvenanceId, ...]
    removed: tuple[ProvenanceId, ...]
    changed: tuple[tuple[ProvenanceId, ProvenanceId], ...]


def release_contents(reading: Reading, tenant: str, number: int) -> list[ProvenanceId]:
    """The versions that were in force in a release, by id; empty for a release that does not exist."""
    c = version_status.c
    held = (
        (c.tenant == tenant)
        & (c.published_in <= number)
        & (c.withdrawn_in.is_(None) | (c.withdrawn_in > number))
    )
    return sorted(as_status(row).id for row in reading.all(version_status.select().where(held)))


def diff_contents(before: Iterable[ProvenanceId], after: Iterable[ProvenanceId]) -> ReleaseDiff:
    """What changed between two contents."""
    old = {version.source: version for version in before}
    new = {version.source: version for version in after}
    return ReleaseDiff(
        added=tuple(new[source] for source in sorted(new.keys() - old.keys())),
        removed=tuple(old[source] for source in sorted(old.keys() - new.keys())),
        changed=tuple(
            (old[source], new[source])
            for source in sorted(old.keys() & new.keys())
            if old[source] != new[source]
        ),
    )


def exported_lines(
    store: KnowledgeStore, reading: Reading, grant: CurationGrant, number: int
) -> Iterator[bytes]:
    """A release as lines of canonical JSON: what it is, each version in force, the digest of all before."""
    contents = release_contents(reading, grant.tenant, number)
    seal = hashlib.sha256()
    for value in (
        {
            "v": EXPORT_VERSION,
            "kind": _KIND,
            "tenant": grant.tenant,
            "release": number,
            "versions": len(contents),
        },
        *(
            _as_json(shown)
            for version in contents
            if (shown := show_version(store, reading, grant, version)) is not None
        ),
    ):
        line = canonical(cast("JsonObject", value)) + b"\n"
        seal.update(line)
        yield line
    yield canonical({"sha256": seal.hexdigest()}) + b"\n"


def exported_versions(raw: bytes, name: str) -> list[Incoming]:
    """The versions of an exported release, each as a document that can be imported like any other.

    Its front matter proposes what the release said of it; who imports it decides as ever. Raises
    `ImportRefused` for a file that is no release, was cut off or changed.
    """
    lines = raw.splitlines(keepends=True)
    if len(lines) < 2:
        raise _no_release(name)
    head, *lines, seal = lines
    found, sealed = _parsed(head, name), _parsed(seal, name)
    if found.get("kind") != _KIND or found.get("v") != EXPORT_VERSION:
        raise ImportRefused(
            f"{name} is no release that this version of Bailiwick exported; name such a file."
        )
    whole = hashlib.sha256(b"".join([head, *lines])).hexdigest()
    if sealed.get("sha256") != whole or found.get("versions") != len(lines):
        raise ImportRefused(f"{name} was cut off or changed since it was exported; export it again.")
    return [_incoming(_parsed(line, name), name) for line in lines]


def _parsed(line: bytes, name: str) -> dict[str, Any]:
    try:
        value: object = json.loads(line)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise _no_release(name)
    return cast("dict[str, Any]", value)


def _no_release(name: str) -> ImportRefused:
    return ImportRefused(f"{name} is no exported release; name a file that `release export` wrote.")


def _incoming(record: dict[str, Any], name: str) -> Incoming:
    if record.keys() != _FIELDS or text_digest(str(record["text"])) != record["text_digest"]:
        raise ImportRefused(f"{name} holds a text that is not the one it names; export it again.")
    facts = dict(line.partition("=")[::2] for line in record["facts"])
    front: dict[str, object] = {
        "id": record["source"],
        "title": record["title"],
        "labels": record["labels"],
        "collection": record["collection"],
        "valid_from": _time(record["valid_from_ms"]),
        "valid_until": _time(record["valid_until_ms"]),
        "facts": {fact: json.loads(value) for fact, value in facts.items()},
    }
    said = {key: value for key, value in front.items() if value}
    block = yaml.safe_dump(said, allow_unicode=True, sort_keys=False)
    suffix = ".txt" if record["extracted_by"] in ("plain-1", "pdf-1") else ".md"
    return Incoming(
        f"{record['source']}{suffix}", record["origin"], f"---\n{block}---\n{record['text']}".encode()
    )


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)


def _as_json(shown: VersionShown) -> JsonObject:
    return {
        "source": shown.status.id.source,
        "version": shown.status.id.version,
        "title": shown.title,
        "text": shown.text,
        "text_digest": shown.status.text_digest,
        "labels": list(shown.labels),
        "collection": shown.collection,
        "facts": list(shown.facts),
        "valid_from_ms": shown.status.valid_from_ms,
        "valid_until_ms": shown.status.valid_until_ms,
        "authority": shown.authority,
        "owner": shown.owner,
        "origin": shown.origin,
        "extracted_by": shown.extracted_by,
    }
