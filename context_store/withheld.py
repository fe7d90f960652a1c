"""What a grant kept back: passages that a need would have found, had its caller been allowed to read them.

It is written into the receipt, for admins. Neither the bundle nor its bytes, nor anything that its reader
learns, depends on it.
"""

from dataclasses import replace

from context_store.cursor import Cursor
from context_store.grants import ReadGrant
from context_store.reach import Reach
from context_store.search import evidence_among, search
from context_store.selection import LeftOut
from context_store.store import KnowledgeStore

MOST_NAMED = 20


def withheld_for_access(
    store: KnowledgeStore,
    cursor: Cursor,
    grant: ReadGrant,
    head: int,
    need: str,
    now_ms: int,
    current: Reach,
) -> tuple[LeftOut, ...]:
    """The passages of the tenant that answer the need and that the grant does not cover, by id."""
    whole = replace(grant, labels=_all_labels(store, cursor, grant.tenant, head), collections=None)
    reach = store.reach(whole, head, now_ms).current
    if len(reach.keys) == len(current.keys):
        return ()
    hits = [hit for hit in evidence_among(search(reach, need)) if not current.covers(hit.key)]
    return tuple(
        LeftOut(f"{hit.source}@{hit.version}:{start}-{end}", "access")
        for hit in hits[:MOST_NAMED]
        for start, end in [reach.span_of(hit.key, hit.ordinal)]
    )


def _all_labels(store: KnowledgeStore, cursor: Cursor, tenant: str, head: int) -> frozenset[str]:
    known = store.reaches.labels.get((tenant, head))
    if known is None:
        rows = cursor.execute(
            """SELECT DISTINCT unnest(labels) FROM source_access
            WHERE tenant = $tenant AND since_release <= $head""",
            {"tenant": tenant, "head": head},
        ).fetchall()
        known = store.reaches.labels[tenant, head] = frozenset(label for (label,) in rows)
    return known
