"""Opening the library as the server and the CLI do: the file, and then whatever a crash left half done."""

from pathlib import Path

from context_store.releases import recover
from context_store.store import KnowledgeStore
from ledger.ledger import Ledger


def open_knowledge(path: Path | str, ledger: Ledger) -> KnowledgeStore:
    """Open or create the store at `path` and make it agree with the ledger; the caller closes it.

    Raises `StoreOwned` when another process has it, `StoreUnavailable` when it cannot be read.
    """
    store = KnowledgeStore.open(path)
    try:
        recover(store, ledger)
    except BaseException:
        store.close()
        raise
    return store
