"""Search finds what a need is about, and nothing where the store holds nothing about it."""

import subprocess
import sys
from pathlib import Path

import pytest

from context_store.channels import search_channels
from context_store.search import MAX_NEED, NeedRefused, search
from tests.context_store.library import NOW, Library

ROOT = Path(__file__).resolve().parents[2]
HANDBOOK = """# Shop handbook

## Refunds

- A refund is paid to the original payment method within 30 days.
- Gift cards cannot be refunded.

## Shipping

- Parcels are shipped from the warehouse in Ghent on every working day.
- A parcel that is lost is replaced once the carrier confirms it.

## Privacy

- Customer addresses are deleted two years after the last order.
"""


def found(library: Library, need: str) -> list[str]:
    return [item.quote for item in library.bundle(need).items]


@pytest.mark.parametrize(
    ("need", "first"),
    [
        ("refund", "A refund is paid"),
        ("To which payment method are refunds paid?", "A refund is paid"),
        ("lost parcel", "A parcel that is lost"),
        ("When do you delete my address?", "Customer addresses"),
        ("Gift cards", "Gift cards cannot"),
    ],
)
def test_a_need_finds_the_passage_about_it_first(library: Library, need: str, first: str) -> None:
    library.add(HANDBOOK)
    assert found(library, need)[0].startswith(first)


@pytest.mark.parametrize(
    "need",
    [
        "How do I tune the garbage collector of a virtual machine?",
        "quantum chromodynamics",
        "What is the capital of Mongolia?",
        "Who was paid most in the film industry?",
        "the of and to",
        "?!",
        "",
        "z",
    ],
)
def test_case_76_a_need_about_something_else_finds_nothing(library: Library, need: str) -> None:
    library.add(HANDBOOK)
    bundle = library.bundle(need)
    assert (bundle.items, bundle.sufficiency) == ((), "insufficient")


def test_a_long_need_is_searched_sentence_by_sentence(library: Library) -> None:
    library.add(HANDBOOK)
    story = (
        "You are Yusuf Rossi and live at 19122 Elm Street with two cats and a canary."
        " You ordered a lamp in May. Your parcel seems to be lost! You also"
        " wonder when the shop deletes customer addresses."
    )
    quotes = found(library, story)
    assert any(quote.startswith("A parcel that is lost") for quote in quotes)
    assert any(quote.startswith("Customer addresses") for quote in quotes)


def test_one_document_of_one_sentence_is_found_too(library: Library) -> None:
    library.add("---\ntitle: Refund policy\n---\nMoney goes back within 30 days.")
    assert found(library, "refund window") == ["Money goes back within 30 days."]


def test_scripts_without_spaces_are_searched_too(library: Library) -> None:
    library.add("返品は三十日以内に可能です。", "jp.txt")
    library.add("Товар можно вернуть в течение тридцати дней.", "ru.txt")
    assert found(library, "返品は可能ですか") == ["返品は三十日以内に可能です。"]
    assert found(library, "вернуть товар") == ["Товар можно вернуть в течение тридцати дней."]


def test_ties_come_in_the_order_of_source_and_place(library: Library) -> None:
    for name in ("b", "c", "a"):
        library.add("Refunds are paid weekly.", f"{name}.md", labels=frozenset({"x"}))
    reach = library.store.reach(library.grant(labels=frozenset({"x"})), library.head(), NOW)
    hits = search(reach.current, "refunds paid")
    assert [hit.source for hit in hits] == ["a", "b", "c"]


def test_a_need_that_is_too_long_is_refused_with_its_limit(library: Library) -> None:
    with pytest.raises(NeedRefused, match=f"at most {MAX_NEED}"):
        library.bundle("x" * (MAX_NEED + 1))


def test_the_store_says_how_it_searches_and_why_not_otherwise(library: Library) -> None:
    lexical, semantic = search_channels("the extra `semantic` is not installed")
    assert (lexical.used, semantic.used) == (True, False)
    assert "not installed" in semantic.reason
    said = library.bundle("anything").retrieved_with
    assert (said["scoring"], said["terms"], said["semantic"]) == ("bm25-2", "terms-2", "not in use")


def test_the_library_imports_neither_numpy_nor_torch() -> None:
    program = (
        "import sys, context_store.opening, context_store.bundles, context_store.search\n"
        "import context_store.weights\n"
        "context_store.weights.find_weights(None)\n"
        "print([name for name in ('numpy', 'torch', 'sentence_transformers') if name in sys.modules])"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert said.stdout.strip() == "[]"
