"""A store that lacks what was published never passes for one in which nothing is relevant."""

import pytest

from context_store.errors import StoreUnavailable
from context_store.opening import open_knowledge
from tests.context_store.library import Library


def test_a_store_that_was_deleted_is_refused_once_something_was_published(library: Library) -> None:
    library.add("A refund is paid within 30 days.")
    library.store.close()
    path = library.folder / "knowledge.duckdb"
    path.unlink()
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"lacks 1 of the 1 published versions.*restore it"):
            open_knowledge(path, library.ledger)


def test_a_store_without_a_publication_may_be_empty(library: Library) -> None:
    library.store.close()
    (library.folder / "knowledge.duckdb").unlink()
    open_knowledge(library.folder / "knowledge.duckdb", library.ledger).close()
