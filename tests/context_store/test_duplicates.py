"""Who brings a text in learns which other sources say the same, as far as they may know of them."""

from context_store.duplicates import find_duplicates, sketch
from context_store.grants import CurationGrant
from context_store.importing import import_many
from context_store.intake import Incoming, Intake
from context_store.provenance import ProvenanceId
from tests.context_store.library import TENANT, Library

WORDS = [f"word{number}" for number in range(120)]
TEXT = " ".join(WORDS) + "."
NEARLY = " ".join([*WORDS[:60], "another", *WORDS[61:]]) + "."
OTHER = " ".join(f"thing{number}" for number in range(120)) + "."


def test_the_same_text_and_nearly_the_same_are_named_and_others_are_not(library: Library) -> None:
    library.add(TEXT, "one.md")
    library.add(OTHER, "other.md")
    same, near = library.draft(TEXT, "two.md"), library.draft(NEARLY, "three.md")
    assert [(str(one.id), one.kind, one.share) for one in same.duplicates] == [("one@1", "exact", 1.0)]
    assert {(str(one.id), one.kind) for one in near.duplicates} == {("one@1", "near"), ("two@1", "near")}
    assert all(0.7 <= one.share < 1 for one in near.duplicates)


def test_texts_of_one_import_are_compared_with_each_other_too(library: Library) -> None:
    incoming = [Incoming(f"{name}.md", f"memory:{name}", TEXT.encode()) for name in ("a", "b")]
    first, second = import_many(library.store, library.ledger, incoming, Intake(TENANT, "carol"))
    assert not isinstance(first, Exception)
    assert not isinstance(second, Exception)
    assert [str(one.id) for one in first.duplicates] == ["b@1"]
    assert [str(one.id) for one in second.duplicates] == ["a@1"]


def test_an_older_version_that_is_out_of_force_is_no_duplicate(library: Library) -> None:
    library.add(TEXT, "one.md")
    library.add(OTHER, "one.md")
    assert library.draft(TEXT, "two.md").duplicates == ()


def test_case_102_another_tenants_text_and_an_agents_proposal_tell_nothing(library: Library) -> None:
    library.add(TEXT, "one.md", labels=frozenset({"secret"}))
    elsewhere = library.draft(TEXT, "two.md", tenant="globex", by="gina")
    assert elsewhere.duplicates == ()
    with library.store.reading() as cursor:
        assert find_duplicates(cursor, CurationGrant("globex", "gina"), [ProvenanceId("one", 1)]) == {}
    proposed = library.draft(TEXT, "three.md", by="bot", authority="agent")
    unknown = library.draft(OTHER, "four.md", by="bot", authority="agent")
    assert proposed.duplicates == unknown.duplicates == ()


def test_short_texts_are_compared_word_for_word_only(library: Library) -> None:
    assert sketch("One two three four.") == ()
    library.draft("Fees are 5 EUR.", "a.md")
    assert [one.kind for one in library.draft("Fees are 5 EUR.", "b.md").duplicates] == ["exact"]
    assert library.draft("Fees are 6 EUR.", "c.md").duplicates == ()
