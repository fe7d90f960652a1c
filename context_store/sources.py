"""What curators see: the sources of their tenant, every version with its text, and what differs between two.

People read through a `CurationGrant`, drafts included; agents never do.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from context_store.curation import Status, as_status
from context_store.grants import CurationGrant
from context_store.provenance import ProvenanceId
from context_store.store import KnowledgeStore
from context_store.tables import version_status
from ledger.transaction import Reading


@dataclass(frozen=True, slots=True)
class VersionShown:
    """A version as curators see it.

    `facts` are lines of `name=value` with values as canonical JSON; times are milliseconds.
    """

    status: Status
    owner: str
    origin: str
    title: str
    authority: str
    labels: tuple[str, ...]
    collection: str
    facts: tuple[str, ...]
    extracted_by: str
    passages: int
    text: str


@dataclass(frozen=True, slots=True)
class SourceListed:
    """A source with its versions, oldest first.

    `labels` and `collection` are those its newest version asks for.
    """

    source: str
    owner: str
    title: str
    labels: tuple[str, ...]
    collection: str
    versions: tuple[Status, ...]


def list_sources(store: KnowledgeStore, reading: Reading, grant: CurationGrant) -> list[SourceListed]:
    """Every source of the tenant, by id."""
    statuses = [as_status(row) for row in reading.all(_statuses(grant).order_by(*_BY_ID))]
    with store.reading() as cursor:
        rows = cursor.execute(
            """SELECT s.source, any_value(s.owner), arg_max(v.title, v.version), arg_max(v.labels, v.version),
                arg_max(v.collection, v.version)
            FROM sources s JOIN versions v USING (tenant, source)
            WHERE tenant = $tenant GROUP BY s.source ORDER BY s.source""",
            {"tenant": grant.tenant},
        ).fetchall()
    return [
        SourceListed(source, owner, title, tuple(labels), collection, versions)
        for source, owner, title, labels, collection in rows
        if (versions := tuple(status for status in statuses if status.id.source == source))
    ]


def show_version(
    store: KnowledgeStore, reading: Reading, grant: CurationGrant, version: ProvenanceId
) -> VersionShown | None:
    """One version with its text, or None if the tenant has none of that id."""
    c = version_status.c
    known = reading.one(_statuses(grant).where((c.source == version.source) & (c.version == version.version)))
    if known is None:
        return None
    with store.reading() as cursor:
        row = cursor.execute(
            """SELECT s.owner, s.origin, v.title, v.authority, v.labels, v.collection, v.facts,
                v.extracted_by, v.passages, v.text
            FROM versions v JOIN sources s USING (tenant, source)
            WHERE tenant = $tenant AND source = $source AND v.version = $version""",
            {"tenant": grant.tenant, "source": version.source, "version": version.version},
        ).fetchone()
    if row is None:
        return None
    owner, origin, title, authority, labels, collection, facts, extracted_by, passages, text = row
    return VersionShown(
        status=as_status(known),
        owner=owner,
        origin=origin,
        title=title,
        authority=authority,
        labels=tuple(labels),
        collection=collection,
        facts=tuple(facts.splitlines()),
        extracted_by=extracted_by,
        passages=passages,
        text=text,
    )


def diff_versions(before: VersionShown, after: VersionShown) -> list[str]:
    """What a reviewer compares: a unified diff of what the two versions declare and say, line by line."""
    names = str(before.status.id), str(after.status.id)
    return list(difflib.unified_diff(list(_lines(before)), list(_lines(after)), *names, lineterm=""))


def _lines(version: VersionShown) -> Iterable[str]:
    yield f"title: {version.title}"
    yield f"labels: {', '.join(version.labels)}"
    yield f"collection: {version.collection}"
    yield f"valid: {version.status.valid_from_ms} to {version.status.valid_until_ms}"
    yield from version.facts
    yield ""
    yield from version.text.split("\n")


_BY_ID = (version_status.c.source, version_status.c.version)


def _statuses(grant: CurationGrant):
    return version_status.select().where(version_status.c.tenant == grant.tenant)


def newest_version(reading: Reading, tenant: str, source: str) -> ProvenanceId | None:
    """The newest version of a source, drafts included; None when the tenant has no such source."""
    c = version_status.c
    newest = (
        version_status.select()
        .where((c.tenant == tenant) & (c.source == source))
        .order_by(c.version.desc())
        .limit(1)
    )
    row = reading.one(newest)
    return None if row is None else ProvenanceId(row.source, row.version)


def accepted_versions(reading: Reading, tenant: str) -> list[ProvenanceId]:
    """Every version that was reviewed and accepted and is not published yet, by id."""
    c = version_status.c
    accepted = (c.tenant == tenant) & (c.status == "in_review") & c.reviewed_by.is_not(None)
    rows = reading.all(version_status.select().where(accepted).order_by(c.source, c.version))
    return [ProvenanceId(row.source, row.version) for row in rows]
