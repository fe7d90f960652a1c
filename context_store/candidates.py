"""The rows of a candidate: what a release will be, under a number that no reader reaches yet."""

from collections.abc import Sequence
from typing import Any, Final

from context_store.changes import Change
from context_store.errors import StoreUnavailable
from context_store.provenance import ProvenanceId
from context_store.store import Cursor


def write_candidate(cursor: Cursor, change: Change) -> None:
    """The rows of a release that no reader sees until the head reaches it: a few statements, however many
    versions it moves.
    """
    if change.withdrawn:
        cursor.execute(
            f"""UPDATE published SET withdrawn_in = $release WHERE key IN (
                SELECT v.key FROM versions v {_NAMED} WHERE v.tenant = $tenant
            )""",  # noqa: S608
            _names(change, change.withdrawn),
        )
    if not change.added:
        return
    named = _names(change, change.added)
    stored = cursor.execute(
        f"""INSERT INTO published SELECT v.key, v.tenant, v.source, $release, NULL FROM versions v {_NAMED}
        JOIN (SELECT unnest($sources::VARCHAR[]) AS source, unnest($digests::VARCHAR[]) AS digest) d
            ON d.source = v.source AND d.digest = v.text_digest
        WHERE v.tenant = $tenant RETURNING source""",  # noqa: S608
        {**named, "digests": list(change.digests)},
    ).fetchall()
    missing = {version.source for version in change.added} - {source for (source,) in stored}
    for version in change.added:
        if version.source in missing:
            raise StoreUnavailable(
                f"The knowledge store does not hold {version} as it was reviewed; run `bailiwick doctor`."
            )
    # Labels only restrict: what was asked for once stays asked for.
    cursor.execute(
        f"""INSERT INTO source_access SELECT v.tenant, v.source, $release,
            list_sort(list_distinct(list_concat(v.labels, coalesce(a.labels, []::VARCHAR[])))), v.collection
        FROM versions v {_NAMED} LEFT JOIN (
            SELECT source, arg_max(labels, since_release) AS labels FROM source_access
            WHERE tenant = $tenant AND source IN (SELECT unnest($sources::VARCHAR[])) GROUP BY source
        ) a ON a.source = v.source
        WHERE v.tenant = $tenant""",  # noqa: S608
        named,
    )


_NAMED: Final = """JOIN (
    SELECT unnest($sources::VARCHAR[]) AS source, unnest($versions::INTEGER[]) AS version
) n ON n.source = v.source AND n.version = v.version"""


def _names(change: Change, versions: Sequence[ProvenanceId]) -> dict[str, Any]:
    return {
        "tenant": change.tenant,
        "release": change.number,
        "sources": [version.source for version in versions],
        "versions": [version.version for version in versions],
    }


def drop_candidate(cursor: Cursor, tenant: str, head: int) -> None:
    """Take away all rows above the head: of a candidate that was examined, or that a crash left behind."""
    above = {"tenant": tenant, "head": head}
    cursor.execute("DELETE FROM published WHERE tenant = $tenant AND published_in > $head", above)
    cursor.execute("DELETE FROM source_access WHERE tenant = $tenant AND since_release > $head", above)
    cursor.execute(
        "UPDATE published SET withdrawn_in = NULL WHERE tenant = $tenant AND withdrawn_in > $head", above
    )
