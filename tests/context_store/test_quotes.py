"""Quotes: exact, in place, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from context_store.provenance import ProvenanceId
from context_store.quotes import locate_quote, verify_quotes
from tests.context_store.library import NOW, Library

TEXT = "é́ 👩‍👩‍👧 Refunds within 30 days.\nNo refunds after. Refunds within 30 days."


@given(st.text(max_size=60), st.text(min_size=1, max_size=4), st.text(max_size=60))
def test_a_quote_is_found_in_code_points_wherever_it_stands(before: str, quote: str, after: str) -> None:
    text = before + quote + after
    place = locate_quote(text, quote)
    assert place is not None
    assert text[place[0] : place[1]] == quote
    assert locate_quote(text, quote, (len(before), len(before) + len(quote))) == (
        len(before),
        len(before) + len(quote),
    )


@pytest.mark.parametrize(
    ("quote", "within"),
    [
        ("", None),
        ("refunds within", None),
        ("Refunds within 30  days", None),
        ("Refunds", (0, 3)),
        ("Refunds", (0, len(TEXT) + 1)),
        ("Refunds", (-5, 20)),
        ("Refunds", (20, 10)),
    ],
)
def test_case_71_what_is_not_there_word_for_word_is_no_quote(
    quote: str, within: tuple[int, int] | None
) -> None:
    assert locate_quote(TEXT, quote, within) is None


def test_case_71_a_quote_is_placed_within_the_cited_span_and_only_there(library: Library) -> None:
    library.add(TEXT, "policy.txt")
    second = TEXT.rindex("Refunds")
    pairs = [
        ("policy@1", "Refunds within"),
        (f"policy@1:{second}-{len(TEXT)}", "Refunds within"),
        (f"policy@1:0-{second}", "No refunds"),
        (f"policy@1:0-{second}", "days. "),
        (f"policy@1:{second}-{len(TEXT)}", "No refunds"),
        ("policy@2", "Refunds"),
        ("not an id", "Refunds"),
    ]
    found = library.ledger.read(
        lambda reading: verify_quotes(library.store, reading, library.grant(), pairs, NOW)
    )
    first = TEXT.index("Refunds")
    assert found == [
        ProvenanceId("policy", 1, first, first + 14),
        ProvenanceId("policy", 1, second, second + 14),
        ProvenanceId("policy", 1, TEXT.index("No"), TEXT.index("No") + 10),
        None,
        None,
        None,
        None,
    ]


def test_an_id_resolves_to_quote_heading_digest_and_standing(library: Library) -> None:
    version = library.add("# Policy\n\n## Refunds\n\nRefunds within 30 days.", "policy.md")
    start = library.text_of(version).index("30 days")
    found = library.resolve(f"policy@1:{start}-{start + 7}")
    assert found is not None
    assert (found.quote, found.section, found.title) == ("30 days", ("Policy", "Refunds"), "Policy")
    assert (found.standing, found.successor, found.authority) == ("current", None, "imported")
    assert found.text_digest.startswith("sha256:")


@pytest.mark.parametrize(
    ("window", "standing"),
    [
        ("valid_until: 2020-01-01", "expired"),
        ("valid_from: 2100-01-01", "not_yet_valid"),
        ("valid_from: 2020-01-01", "current"),
    ],
)
def test_an_id_says_when_its_version_is_not_in_force(library: Library, window: str, standing: str) -> None:
    library.add(f"---\n{window}\n---\nRefunds within 30 days.")
    found = library.resolve("policy@1")
    assert found is not None
    assert found.standing == standing
