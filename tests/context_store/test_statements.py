"""Sentences that say the same thing with another value contradict each other; nothing else does."""

import pytest

from context_store.statements import difference
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


def test_one_source_does_not_contradict_itself(library: Library) -> None:
    library.add("A regular member has 1 free bag on a flight.\n\nA gold member has 3 free bags on a flight.")
    assert library.bundle("How many free bags has a member on a flight?").sufficiency == "sufficient"
