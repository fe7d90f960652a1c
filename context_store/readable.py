"""The one place where a read grant becomes SQL.

Every query on texts begins with `READABLE` and takes its rows from one of its tables; nothing is filtered
afterwards. So a grant's holder gets the same answer, in the same order and with the same scores, whether or
not rows exist that the grant does not cover.
"""

from collections.abc import Mapping
from typing import Any, Final

from context_store.grants import ReadGrant

READABLE: Final = """
WITH access AS (
    SELECT source, arg_max(labels, since_release) AS labels, arg_max(collection, since_release) AS collection
    FROM source_access
    WHERE tenant = $tenant AND since_release <= $head
    GROUP BY source
), readable AS (
    SELECT
        v.key, v.source, v.version, v.title, v.authority, v.valid_from_ms, v.valid_until_ms,
        v.passages, v.terms, v.facts <> '' AS declares, a.collection,
        p.withdrawn_in IS NOT NULL AND p.withdrawn_in <= $head AS withdrawn
    FROM published p JOIN versions v USING (key) JOIN access a ON a.source = p.source
    WHERE p.tenant = $tenant AND p.published_in <= $release
        AND list_has_all($labels::VARCHAR[], a.labels)
        AND ($collections::VARCHAR[] IS NULL OR list_contains($collections::VARCHAR[], a.collection))
), current AS (
    SELECT * FROM readable
    WHERE NOT withdrawn
        AND coalesce(valid_from_ms <= $now_ms, true) AND coalesce(valid_until_ms > $now_ms, true)
), former AS (
    SELECT * FROM readable
    WHERE withdrawn OR coalesce(valid_until_ms <= $now_ms, false)
)
"""
"""`readable`: every version that was ever published and that the grant covers; `current`: those in force at
`now_ms`; `former`: those that were.

A version that a later release withdrew is not current even for a grant on an earlier release: old evidence
enters no new bundle.
"""


def parameters(grant: ReadGrant, head: int, now_ms: int) -> Mapping[str, Any]:
    """The parameters of `READABLE`.

    `head` is the tenant's newest release: a grant cannot reach above it, into a candidate.
    """
    return {
        "tenant": grant.tenant,
        "head": head,
        "release": min(grant.release, head),
        "labels": sorted(grant.labels),
        "collections": None if grant.collections is None else sorted(grant.collections),
        "now_ms": now_ms,
    }
