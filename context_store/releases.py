"""Publishing: a release moves as a whole, across two stores, and a crash leaves it before or after.

1. The ledger notes `publish.begun`, having checked that every version was accepted.
2. DuckDB gets the candidate: rows that count from the release after the head, which no reader sees yet.
3. One ledger transaction checks again, moves the head and the statuses, and appends what happened. A crash
   before 3 leaves rows above the head: `recover` drops them when the store is opened, and so does the next
   publication. After 3, all is there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from context_store.curation import as_status, spoken
from context_store.drafts import drop_version
from context_store.errors import CurationRefused, StoreUnavailable
from context_store.head import head_release
from context_store.provenance import ProvenanceId
from context_store.store import Cursor, KnowledgeStore
from context_store.tables import release_head, releases, version_status
from ledger.canonical import JsonObject, JsonValue
from ledger.entries import Entry
from ledger.ledger import Ledger
from ledger.transaction import AnyRow, Reading, Transaction

T = TypeVar("T")

_CHUNK: Final = 500  # databases limit how many values one statement may name


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


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants a release to do: bring versions in, take sources out for good, and let a source be
    superseded by another one, as pairs of the old and the new.
    """

    added: tuple[ProvenanceId, ...] = ()
    retired: tuple[str, ...] = ()
    replaced: tuple[tuple[str, str], ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What a release will do.

    `digests` are those of the added texts, as they were reviewed; `superseded`, each with the version that
    takes its place, and `retired` go out.
    """

    tenant: str
    by: str
    number: int
    added: tuple[ProvenanceId, ...]
    digests: tuple[str, ...]
    superseded: tuple[tuple[ProvenanceId, ProvenanceId], ...]
    retired: tuple[ProvenanceId, ...]
    reason: str

    @property
    def withdrawn(self) -> tuple[ProvenanceId, ...]:
        """Every version that goes out."""
        return (*(old for old, _ in self.superseded), *self.retired)

    def as_json(self) -> JsonObject:
        """What the log keeps of it."""
        return {
            "release": self.number,
            "added": _texts(self.added),
            "superseded": _texts([old for old, _ in self.superseded]),
            "retired": _texts(self.retired),
            "reason": self.reason,
        }


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
        change = ledger.read(lambda reading: _judge(reading, tenant, by, wish))
        with store.writing() as cursor:
            _drop_candidate(cursor, tenant, change.number - 1)
        try:
            with store.writing() as cursor:
                _write_candidate(cursor, change)
            return look(change)
        finally:
            with store.writing() as cursor:
                _drop_candidate(cursor, tenant, change.number - 1)


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
                _drop_candidate(cursor, tenant, heads[tenant])
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
            _drop_candidate(cursor, tenant, change.number - 1)
        with store.writing() as cursor:
            _write_candidate(cursor, change)
        return ledger.transact_now(lambda tx: _move_head(tx, change, wish))


def _begin(tx: Transaction, tenant: str, by: str, wish: Wish) -> Change:
    change = _judge(tx, tenant, by, wish)
    tx.append(Entry("publish.begun", tenant, change.as_json(), principal=by))
    return change


def _judge(reading: Reading, tenant: str, by: str, wish: Wish) -> Change:
    """What the release would do now; `CurationRefused` if it may not."""
    sources = {version.source for version in wish.added}
    if len(sources) != len(wish.added):
        raise CurationRefused("Two versions of one source cannot be in force together; publish one of them.")
    touched = {*sources, *wish.retired, *(source for pair in wish.replaced for source in pair)}
    rows = _rows_of(reading, tenant, sorted(touched))
    by_id = {ProvenanceId(row.source, row.version): row for row in rows}
    in_force = {
        row.source: ProvenanceId(row.source, row.version) for row in rows if row.status == "published"
    }
    for version in wish.added:
        _check_accepted(version, by_id.get(version), in_force.get(version.source))
    for source in (*wish.retired, *(source for pair in wish.replaced for source in pair)):
        if source not in in_force:
            raise CurationRefused(
                f"No version of {source!r} is in force in this tenant; list the sources to see what is."
            )
    if any(old == new for old, new in wish.replaced):
        raise CurationRefused("A source cannot be superseded by itself; publish a newer version of it.")
    newer = {version.source: version for version in wish.added}
    return Change(
        tenant=tenant,
        by=by,
        number=head_release(reading, tenant) + 1,
        added=wish.added,
        digests=tuple(by_id[version].text_digest for version in wish.added),
        superseded=(
            *((in_force[source], newer[source]) for source in sorted(sources) if source in in_force),
            *((in_force[old], in_force[new]) for old, new in sorted(wish.replaced)),
        ),
        retired=tuple(in_force[source] for source in sorted(wish.retired)),
        reason=wish.reason,
    )


def _rows_of(reading: Reading, tenant: str, sources: Sequence[str]) -> list[AnyRow]:
    c = version_status.c
    return [
        row
        for at in range(0, len(sources), _CHUNK)
        for row in reading.all(
            version_status.select().where((c.tenant == tenant) & c.source.in_(sources[at : at + _CHUNK]))
        )
    ]


def _check_accepted(version: ProvenanceId, row: AnyRow | None, in_force: ProvenanceId | None) -> None:
    if row is None:
        raise CurationRefused(f"There is no version {version}; list the sources to see what there is.")
    if row.status != "in_review" or row.reviewed_by is None:
        standing = "in review, but not accepted" if row.status == "in_review" else spoken(row.status)
        raise CurationRefused(
            f"{version} is {standing}; only a version that was reviewed and accepted can be published."
        )
    if in_force is not None and version < in_force:
        raise CurationRefused(
            f"{in_force} is in force and newer than {version}; import the text again to go back to it."
        )


def _write_candidate(cursor: Cursor, change: Change) -> None:
    """The rows of a release that no reader sees until the head reaches it."""
    for version in change.withdrawn:
        cursor.execute(
            """UPDATE published SET withdrawn_in = $release WHERE key = (
                SELECT key FROM versions WHERE tenant = $tenant AND source = $source AND version = $version
            )""",
            _named(change, version),
        )
    for version, digest in zip(change.added, change.digests, strict=True):
        named = _named(change, version)
        stored = cursor.execute(
            """INSERT INTO published SELECT key, tenant, source, $release, NULL FROM versions
            WHERE tenant = $tenant AND source = $source AND version = $version AND text_digest = $digest
            RETURNING key""",
            {**named, "digest": digest},
        ).fetchall()
        if not stored:
            raise StoreUnavailable(
                f"The knowledge store does not hold {version} as it was reviewed; run `bailiwick doctor`."
            )
        # Labels only restrict: what was asked for once stays asked for.
        cursor.execute(
            """INSERT INTO source_access SELECT tenant, source, $release,
                list_sort(list_distinct(list_concat(v.labels, coalesce((
                    SELECT arg_max(a.labels, a.since_release) FROM source_access a
                    WHERE a.tenant = $tenant AND a.source = $source
                ), []::VARCHAR[])))), v.collection
            FROM versions v WHERE tenant = $tenant AND source = $source AND version = $version""",
            named,
        )


def _drop_candidate(cursor: Cursor, tenant: str, head: int) -> None:
    above = {"tenant": tenant, "head": head}
    cursor.execute("DELETE FROM published WHERE tenant = $tenant AND published_in > $head", above)
    cursor.execute("DELETE FROM source_access WHERE tenant = $tenant AND since_release > $head", above)
    cursor.execute(
        "UPDATE published SET withdrawn_in = NULL WHERE tenant = $tenant AND withdrawn_in > $head", above
    )


def _move_head(tx: Transaction, change: Change, wish: Wish) -> Release:
    if _judge(tx, change.tenant, change.by, wish) != change:
        raise CurationRefused("Something else was published in the meantime; look at it, and publish again.")
    tenant, number = change.tenant, change.number
    tx.execute(
        releases.insert().values(tenant=tenant, number=number, at_ms=tx.now_ms, published_by=change.by)
    )
    if number == 1:
        tx.execute(release_head.insert().values(tenant=tenant, number=1))
    else:
        tx.execute(release_head.update().where(release_head.c.tenant == tenant).values(number=number))
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


def _named(change: Change, version: ProvenanceId) -> dict[str, Any]:
    return {
        "tenant": change.tenant,
        "source": version.source,
        "version": version.version,
        "release": change.number,
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


def _texts(versions: Sequence[ProvenanceId]) -> list[JsonValue]:
    return [str(version) for version in versions]
