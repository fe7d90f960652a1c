"""Publishing: a release moves as a whole, across two stores, and a crash leaves it before or after.

1. The ledger notes `publish.begun`, having checked that every version was accepted.
2. DuckDB gets the candidate: rows that count from the release after the head, which no reader sees yet.
3. One ledger transaction checks again, moves the head and the statuses, and appends what happened. A crash
   before 3 leaves rows above the head: `recover` drops them when the store is opened, and so does the next
   publication. After 3, all is there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from context_store.candidates import drop_candidate, write_candidate
from context_store.changes import Change, Wish, judge
from context_store.curation import as_status
from context_store.drafts import drop_version
from context_store.errors import CurationRefused
from context_store.head import head_release
from context_store.provenance import ProvenanceId
from context_store.store import KnowledgeStore
from context_store.tables import release_head, releases, version_status
from ledger.canonical import JsonObject
from ledger.entries import Entry
from ledger.ledger import Ledger
from ledger.transaction import AnyRow, Reading, Transaction
from policies.gate_state import note_release

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Release:
    """A publication: its number in its tenant, when, by whom, and what it brought in and took out."""

    tenant: str
    number: int
    at_ms: int
    published_by: str
    added: tuple[ProvenanceId, ...]
    superseded: tuple[ProvenanceId, ...]
    retired: tuple[ProvenanceId, ...]


def publish(
    store: KnowledgeStore,
    ledger: Ledger,
    tenant: str,
    versions: Sequence[ProvenanceId],
    by: str,
    *,
    reason: str = "",
) -> Release:
    """Publish accepted versions as the tenant's next release; each supersedes the version of its source that
    is in force.

    Raises `CurationRefused` when one of them was not accepted, or is older than what it would supersede.
    """
    return _release(store, ledger, tenant, by, _bringing_in(versions, reason))


def retire(
    store: KnowledgeStore, ledger: Ledger, tenant: str, source: str, by: str, *, reason: str = ""
) -> Release:
    """Take a source out of force, by a release of its own. Its provenance ids go on resolving, and say so."""
    return _release(store, ledger, tenant, by, Wish(retired=(source,), reason=reason))


def supersede(
    store: KnowledgeStore,
    ledger: Ledger,
    tenant: str,
    source: str,
    successor: str,
    by: str,
    *,
    reason: str = "",
) -> Release:
    """Take a source out of force because another one, which is in force, says it now.

    A release of its own. The old provenance ids go on resolving, and name the successor.
    """
    return _release(store, ledger, tenant, by, Wish(replaced=((source, successor),), reason=reason))


def examine(
    store: KnowledgeStore,
    ledger: Ledger,
    tenant: str,
    versions: Sequence[ProvenanceId],
    by: str,
    look: Callable[[Change], T],
) -> T:
    """Let `look` see the library as publishing these versions would make it, and publish nothing.

    While it looks the candidate's rows stand above the head, under the number in the change: whoever asks for
    that release by number sees it, nobody else does, and nobody curates. Raises `CurationRefused` as
    publishing would.
    """
    wish = _bringing_in(versions, "")
    with store.curating:
        change = ledger.read(lambda reading: judge(reading, tenant, by, wish))
        with store.writing() as cursor:
            drop_candidate(cursor, tenant, change.number - 1)
        try:
            with store.writing() as cursor:
                write_candidate(cursor, change)
            return look(change)
        finally:
            with store.writing() as cursor:
                drop_candidate(cursor, tenant, change.number - 1)


def _bringing_in(versions: Sequence[ProvenanceId], reason: str) -> Wish:
    if not versions:
        raise CurationRefused("There is nothing to publish; name at least one version that was accepted.")
    return Wish(added=tuple(sorted({version.whole() for version in versions})), reason=reason)


def recover(store: KnowledgeStore, ledger: Ledger) -> None:
    """Make the store agree with the ledger after a crash: drop candidates above the head, and drafts the
    ledger never heard of.
    """
    with store.curating:
        with store.reading(limit_s=None) as cursor:
            tenants = [
                row[0] for row in cursor.execute("SELECT DISTINCT tenant FROM versions ORDER BY 1").fetchall()
            ]
            unpublished = cursor.execute(
                "SELECT tenant, source, version FROM versions ANTI JOIN published USING (key)"
            ).fetchall()
        known, heads = ledger.read(lambda reading: _known(reading, tenants))
        sources = {(tenant, source) for tenant, source, _ in known}
        strays = [row for row in unpublished if row not in known]
        with store.writing() as cursor:
            for tenant in tenants:
                drop_candidate(cursor, tenant, heads[tenant])
            for tenant, source, version in strays:
                drop_version(cursor, tenant, source, version, with_source=(tenant, source) not in sources)


def list_releases(reading: Reading, tenant: str) -> list[Release]:
    """Every release of a tenant, newest first."""
    rows = reading.all(
        releases.select().where(releases.c.tenant == tenant).order_by(releases.c.number.desc())
    )
    moved = reading.all(version_status.select().where(version_status.c.tenant == tenant))
    return [_as_release(row, moved) for row in rows]


def _release(
    store: KnowledgeStore,
    ledger: Ledger,
    tenant: str,
    by: str,
    wish: Wish,
) -> Release:
    with store.curating:
        change = ledger.transact_now(lambda tx: _begin(tx, tenant, by, wish))
        with store.writing() as cursor:
            # Also what an earlier publication left behind that failed in this process.
            drop_candidate(cursor, tenant, change.number - 1)
        with store.writing() as cursor:
            write_candidate(cursor, change)
        return ledger.transact_now(lambda tx: _move_head(tx, change, wish))


def _begin(tx: Transaction, tenant: str, by: str, wish: Wish) -> Change:
    change = judge(tx, tenant, by, wish)
    tx.append(Entry("publish.begun", tenant, change.as_json(), principal=by))
    return change


def _move_head(tx: Transaction, change: Change, wish: Wish) -> Release:
    if judge(tx, change.tenant, change.by, wish) != change:
        raise CurationRefused("Something else was published in the meantime; look at it, and publish again.")
    tenant, number = change.tenant, change.number
    tx.execute(
        releases.insert().values(tenant=tenant, number=number, at_ms=tx.now_ms, published_by=change.by)
    )
    if number == 1:
        tx.execute(release_head.insert().values(tenant=tenant, number=1))
    else:
        tx.execute(release_head.update().where(release_head.c.tenant == tenant).values(number=number))
    note_release(tx, tenant, number)
    tx.append(Entry("release.published", tenant, change.as_json(), principal=change.by))
    for version in change.added:
        _set_status(tx, change, version, status="published", published_in=number)
    for version, successor in change.superseded:
        _set_status(
            tx, change, version, status="superseded", withdrawn_in=number, superseded_by=str(successor)
        )
        body: JsonObject = {**_body(change, version), "superseded_by": str(successor)}
        tx.append(Entry("version.superseded", tenant, body, principal=change.by))
    for version in change.retired:
        _set_status(tx, change, version, status="retired", withdrawn_in=number)
        tx.append(Entry("version.retired", tenant, _body(change, version), principal=change.by))
    superseded = tuple(old for old, _ in change.superseded)
    return Release(tenant, number, tx.now_ms, change.by, change.added, superseded, change.retired)


def _set_status(tx: Transaction, change: Change, version: ProvenanceId, **values: Any) -> None:
    c = version_status.c
    this = (c.tenant == change.tenant) & (c.source == version.source) & (c.version == version.version)
    tx.execute(version_status.update().where(this).values(**values, since_ms=tx.now_ms))


def _body(change: Change, version: ProvenanceId) -> JsonObject:
    return {
        "source": version.source,
        "version": version.version,
        "release": change.number,
        "reason": change.reason,
    }


def _known(reading: Reading, tenants: list[str]) -> tuple[set[tuple[str, str, int]], dict[str, int]]:
    c = version_status.c
    rows = reading.all(version_status.select().with_only_columns(c.tenant, c.source, c.version))
    return {(row.tenant, row.source, row.version) for row in rows}, {
        tenant: head_release(reading, tenant) for tenant in tenants
    }


def _as_release(row: AnyRow, moved: Sequence[AnyRow]) -> Release:
    ends = {status: _ids(moved, row.number, status) for status in ("superseded", "retired")}
    added = tuple(as_status(other).id for other in moved if other.published_in == row.number)
    return Release(row.tenant, row.number, row.at_ms, row.published_by, tuple(sorted(added)), **ends)


def _ids(moved: Sequence[AnyRow], number: int, status: str) -> tuple[ProvenanceId, ...]:
    found = (as_status(row).id for row in moved if row.withdrawn_in == number and row.status == status)
    return tuple(sorted(found))
