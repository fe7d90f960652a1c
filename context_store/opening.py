"""Opening the library as the server and the CLI do: the file, and then whatever a crash left half done."""

from pathlib import Path

from context_store.errors import StoreUnavailable
from context_store.releases import recover
from context_store.store import KnowledgeStore
from context_store.tables import version_status
from ledger.ledger import Ledger

_PUBLISHED = version_status.select().where(version_status.c.published_in.is_not(None))


def open_knowledge(path: Path | str, ledger: Ledger) -> KnowledgeStore:
    """Open or create the store at `path` and make it agree with the ledger; the caller closes it.

    Raises `StoreOwned` when another process has it, `StoreUnavailable` when it cannot be read or lacks what
    was published: an empty library must not pass for one in which nothing is relevant.
    """
    store = KnowledgeStore.open(path)
    try:
        recover(store, ledger)
        _refuse_missing(store, ledger)
    except BaseException:
        store.close()
        raise
    return store


def _refuse_missing(store: KnowledgeStore, ledger: Ledger) -> None:
    known = ledger.read(lambda reading: reading.all(_PUBLISHED))
    with store.reading(limit_s=None) as cursor:
        rows = cursor.execute(
            "SELECT v.tenant, v.source, v.version FROM published JOIN versions v USING (key)"
        ).fetchall()
    missing = {(row.tenant, row.source, row.version) for row in known} - set(rows)
    if missing:
        raise StoreUnavailable(
            f"The knowledge store {store.path} lacks {len(missing)} of the {len(known)} published versions "
            "that the ledger knows; restore it from the backup that belongs to this ledger."
        )
