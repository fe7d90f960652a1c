"""Sentences that say the same thing with another value contradict each other; nothing else does."""

import pytest

from context_store.statements import contradictions, difference
from tests.context_store.library import Library

CONTRADICT = {
    "number": (
        "A refund is paid within 30 days of the return.",
        "A refund is paid within 45 days of the return.",
    ),
    "number in words": (
        "Parcels are kept for two weeks at the desk.",
        "Parcels are kept for three weeks at the desk.",
    ),
    "percent": ("The fee for late payment is 5 %.", "The fee for late payment is 7 %."),
    "date": (
        "The depot of the shop in Ghent was opened on March 14, 1999.",
        "The depot of the shop in Ghent was opened on 2 May 2001.",
    ),
    "year": ("The bridge over the river was built in 1885.", "The bridge over the river was built in 1902."),
    "name": (
        "The film was directed by Mahesh Bhatt in India.",
        "The film was directed by Raj Kapoor in India.",
    ),
    "name after other cuts": (
        "Archived from the original in 2013. Films directed by Mahesh Bhatt Films shot in Hong Kong v t e"
        " Menu of all of its films",
        "Box office of India, retrieved in 2020 Categories: 1979 films Films directed by Raj Kapoor Films"
        " shot in Hong Kong",
    ),
    "number among other words": (
        "Whoever asks at the desk of the depot is told that a parcel is kept for 14 days and then goes back.",
        "Every parcel is kept for 21 days and then goes back, says the leaflet that lies in all our shops.",
    ),
    "negation": ("Gift cards can be refunded at the desk.", "Gift cards cannot be refunded at the desk."),
}


@pytest.mark.parametrize(("one", "other"), CONTRADICT.values(), ids=CONTRADICT)
def test_another_value_in_the_same_statement_is_a_difference(
    one: str, other: str, request: pytest.FixtureRequest
) -> None:
    kind = request.node.callspec.id.split()[0].replace("percent", "number").replace("year", "date")
    for pair in ((one, other), (other, one)):
        found = difference(*pair)
        assert found is not None
        assert found.kind == kind
        assert found.one != found.other


AGREE = {
    "the same": ("A refund is paid within 30 days.", "A refund is paid within 30 days."),
    "another spelling of a date": (
        "The depot of the shop in Ghent was opened on March 14, 1999.",
        "The depot of the shop in Ghent was opened on 14 March 1999.",
    ),
    "a part of the date": (
        "The depot of the shop in Ghent was opened in 1999.",
        "The depot of the shop in Ghent was opened in March 1999.",
    ),
    "another spelling of a number": ("The fee is 1,000 coins a year.", "The fee is 1000 coins a year."),
    "a part of the name": (
        "The film was directed by Bhatt in India.",
        "The film was directed by Mahesh Bhatt in India.",
    ),
    "about something else": ("A refund is paid within 30 days.", "Parcels are insured up to 500 coins."),
    "values of two things": ("The depot in Ghent has 12 doors.", "The depot in Bruges has 14 doors."),
    "more of the same": ("A refund is paid.", "A refund is paid within 30 days by card."),
    "words that only begin with a capital": (
        "SETTING Five of the teaching hospitals of the town.",
        "SETTING Intensive care of the teaching hospitals of the town.",
    ),
    "a short form and what it is short for": (
        "Business to business (B2B) orders are shipped by truck.",
        "Business to business orders are shipped by truck (TIR).",
    ),
    "asides": (
        "The refund is paid by card (see rule 12) within the month.",
        "The refund is paid by card (see rule 14) within the month.",
    ),
    "one spelling is short for the other": (
        "Parcels for orders by Maurits are kept at the desk.",
        "Parcels for orders by Maur are kept at the desk.",
    ),
    "too short": ("30 days.", "45 days."),
    "empty": ("", "A refund is paid within 30 days."),
}


@pytest.mark.parametrize(("one", "other"), AGREE.values(), ids=AGREE)
def test_what_can_both_be_true_is_no_difference(one: str, other: str) -> None:
    assert difference(one, other) is None
    assert difference(other, one) is None


@pytest.mark.parametrize(
    ("one", "other"), CONTRADICT.values(), ids=[f"case_75-{name}" for name in CONTRADICT]
)
def test_both_sides_are_in_the_bundle_whatever_its_budget(library: Library, one: str, other: str) -> None:
    library.add(one, "a.md")
    library.add(other, "b.md")
    library.add(f"{one} This is repeated.", "c.md")
    bundle = library.bundle(one, budget=0)
    assert bundle.sufficiency == "contradictory"
    assert {one, other} <= {item.quote for item in bundle.items}
    (conflict, *_) = bundle.conflicts
    assert {str(side.item.id.whole()) for side in conflict.sides} == {"a@1", "b@1"}
    said = conflict.as_json()
    assert (said["fact"], said["kind"]) == (None, conflict.kind)


def test_case_75_sentences_are_compared_one_by_one_whatever_stands_with_them(library: Library) -> None:
    library.add("A refund is paid within 30 days of the return. Gift cards are never refunded.", "policy.md")
    library.add("A refund is paid within 45 days of the return, says the shop. Ask there.", "shop.md")
    bundle = library.bundle("How long until a refund is paid?")
    assert bundle.sufficiency == "contradictory"
    (conflict,) = bundle.conflicts
    assert (conflict.kind, [side.value for side in conflict.sides]) == ("number", ['"30"', '"45"'])


def test_of_many_sentences_each_pair_that_contradicts_is_found_once_and_in_order() -> None:
    said = [
        "A parcel is kept for 14 days.",
        "Lamps are blue.",
        "A parcel is kept for 21 days.",
        "A parcel is not kept for long.",
        "A parcel is kept for 14 days.",
    ]
    found = contradictions(said)
    assert [pair[:2] for pair in found] == [(0, 2), (2, 4)]
    assert [(pair[2].one, pair[2].other) for pair in found] == [("14", "21"), ("21", "14")]


def test_words_that_stand_beside_very_many_values_say_nothing() -> None:
    said = [f"A parcel of the depot is kept for {number} days." for number in range(100, 142)]
    assert contradictions(said) == []
    assert len(contradictions(said[:3])) == 3


def test_one_source_does_not_contradict_itself(library: Library) -> None:
    library.add("A regular member has 1 free bag on a flight.\n\nA gold member has 3 free bags on a flight.")
    assert library.bundle("How many free bags has a member on a flight?").sufficiency == "sufficient"
