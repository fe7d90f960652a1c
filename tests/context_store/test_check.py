"""The store's own check names every text that is not the one that was reviewed."""

import pytest

from context_store.check import check_store
from tests.context_store.library import Library


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            "UPDATE versions SET text = 'Refunds are never paid.'",
            "The text of policy@1 of acme is not the one",
        ),
        ("DELETE FROM versions", "its text is missing from the store"),
        ("DELETE FROM published", "disagree about the releases of policy@1"),
        ("UPDATE published SET published_in = 7", "counts from release 7, which does not exist"),
        ("UPDATE passages SET span_end = 999", "passages that lie outside its text"),
        (
            "UPDATE versions SET source = 'other'",
            "other@1 of acme is in the store, and the ledger does not know it",
        ),
    ],
)
def test_damage_behind_our_back_is_named(library: Library, damage: str, said: str) -> None:
    library.add("Refunds are paid within 30 days.")
    assert check_store(library.store, library.ledger).whole
    with library.store.writing() as cursor:
        cursor.execute(damage)
    report = check_store(library.store, library.ledger)
    assert not report.whole
    assert any(said in problem for problem in report.problems)


def test_a_whole_store_says_what_was_looked_at(library: Library) -> None:
    library.add("One rule.\n\nAnother rule.")
    library.draft("A draft.", "draft.md")
    report = check_store(library.store, library.ledger)
    assert (report.versions, report.passages, report.problems) == (2, 3, ())
