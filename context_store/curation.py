"""Curation up to the door of a release: submit a draft, and accept it or send it back.

Each act is one ledger transaction that moves the status and appends its entry with the person's id. Who holds
which role is decided by the gate before; here stand the rules of the texts themselves. The order is draft →
in review → (accepted) → published → superseded or retired.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from context_store.errors import CurationRefused
from context_store.provenance import ProvenanceId
from context_store.tables import version_status
from ledger.canonical import JsonObject
from ledger.entries import Entry
from ledger.transaction import AnyRow, Reading, Transaction

Verdict = Literal["accept", "send_back"]


@dataclass(frozen=True, slots=True)
class Status:
    """Where a version stands, who wrote it, and who accepted it.

    Release numbers and times are None where nothing happened yet.
    """

    id: ProvenanceId
    status: str
    text_digest: str
    author: str
    reviewed_by: str | None
    published_in: int | None
    withdrawn_in: int | None
    superseded_by: str | None
    valid_from_ms: int | None
    valid_until_ms: int | None
    since_ms: int


def submit(tx: Transaction, tenant: str, version: ProvenanceId, by: str, *, reason: str = "") -> Status:
    """Hand a draft in for review. Raises `CurationRefused` unless it is a draft."""
    return _move(
        tx,
        tenant,
        version,
        by,
        "version.submitted",
        {"reason": reason},
        ("draft",),
        {"status": "in_review", "reviewed_by": None},
    )


def review(
    tx: Transaction,
    tenant: str,
    version: ProvenanceId,
    by: str,
    verdict: Verdict,
    *,
    reason: str = "",
    four_eyes: bool = True,
    identities: Collection[str] = (),
) -> Status:
    """Accept a version that is in review, or send it back to its author as a draft.

    With `four_eyes` the reviewer must not be the author; `identities` are all names that are the same human
    as `by`. Raises `CurationRefused` when that, or the state, forbids it.
    """
    row = _row(tx, tenant, version)
    if four_eyes and row.author in {by, *identities}:
        raise CurationRefused(
            f"{by} brought {version} in and cannot review it too; ask somebody else to review it."
        )
    changed = (
        {"status": "in_review", "reviewed_by": by}
        if verdict == "accept"
        else {"status": "draft", "reviewed_by": None}
    )
    body: JsonObject = {
        "verdict": verdict,
        "reason": reason,
        "four_eyes": four_eyes,
        "text_digest": row.text_digest,
    }
    return _move(tx, tenant, version, by, "version.reviewed", body, ("in_review",), changed)


def status_of(reading: Reading, tenant: str, version: ProvenanceId) -> Status | None:
    """Where a version stands, or None if there is none of that id."""
    row = reading.one(version_status.select().where(_is(tenant, version)))
    return None if row is None else as_status(row)


def as_status(row: AnyRow) -> Status:
    """A row of `version_status` as a value."""
    return Status(
        id=ProvenanceId(row.source, row.version),
        status=row.status,
        text_digest=row.text_digest,
        author=row.author,
        reviewed_by=row.reviewed_by,
        published_in=row.published_in,
        withdrawn_in=row.withdrawn_in,
        superseded_by=row.superseded_by,
        valid_from_ms=row.valid_from_ms,
        valid_until_ms=row.valid_until_ms,
        since_ms=row.since_ms,
    )


def _move(
    tx: Transaction,
    tenant: str,
    version: ProvenanceId,
    by: str,
    kind: str,
    body: JsonObject,
    allowed: tuple[str, ...],
    values: Mapping[str, str | None],
) -> Status:
    row = _row(tx, tenant, version)
    if row.status not in allowed:
        raise CurationRefused(
            f"{version} is {spoken(row.status)}, and must be {spoken(allowed[0])} for that."
        )
    tx.execute(version_status.update().where(_is(tenant, version)).values(**values, since_ms=tx.now_ms))
    tx.append(
        Entry(kind, tenant, {"source": version.source, "version": version.version, **body}, principal=by)
    )
    return as_status(_row(tx, tenant, version))


def _row(reading: Reading, tenant: str, version: ProvenanceId) -> AnyRow:
    row = reading.one(version_status.select().where(_is(tenant, version)))
    if row is None:
        raise CurationRefused(f"There is no version {version}; list the sources to see what there is.")
    return row


def _is(tenant: str, version: ProvenanceId):
    c = version_status.c
    return (c.tenant == tenant) & (c.source == version.source) & (c.version == version.version)


def spoken(status: str) -> str:
    """A status as a sentence says it."""
    return status.replace("_", " ")
