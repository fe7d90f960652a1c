"""On material that nobody here wrote: a retail policy, and what real customers asked."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from context_store.importing import Intake, import_source
from tests.context_store.library import TENANT, Library

pytestmark = pytest.mark.shared_data


@pytest.fixture(scope="module")
def retail(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    library = Library(tmp_path_factory.mktemp("retail"))
    policy = shared_data / "tau_retail" / "policy.md"
    made = import_source(
        library.store, library.ledger, policy, Intake(TENANT, "carol", source_id="retail-policy")
    )
    library.publish(library.accept(made.id))
    yield library
    library.close()


def instructions(folder: Path) -> list[str]:
    calls = [json.loads(line) for line in (folder / "calls.jsonl").read_text(encoding="utf-8").splitlines()]
    return [call["instruction"] for call in calls if call["instruction"]]


def test_every_quote_for_every_customer_is_an_exact_span_of_the_stored_policy(
    retail: Library, shared_data: Path
) -> None:
    text = (shared_data / "tau_retail" / "policy.md").read_text(encoding="utf-8")
    needs = instructions(shared_data / "tau_retail")
    answered = 0
    for need in needs:
        bundle = retail.bundle(need)
        answered += bundle.sufficiency == "sufficient"
        assert bundle.used <= 600
        for item in bundle.items:
            assert item.id.span is not None
            start, end = item.id.span
            assert text[start:end] == item.quote
    assert answered >= 0.85 * len(needs)


@pytest.mark.parametrize(
    ("need", "said"),
    [
        ("I want to cancel my pending order, I ordered it by mistake.", "An order can only be cancelled if"),
        ("Can my refund go to a gift card?", "The refund must either go to the original payment method"),
        (
            "When should I transfer the user to a human agent?",
            "You should transfer the user to a human agent",
        ),
    ],
)
def test_a_plain_need_finds_its_rule(retail: Library, need: str, said: str) -> None:
    assert any(item.quote.startswith(said) for item in retail.bundle(need).items[:5])


def test_case_76_scientific_claims_find_nothing_in_a_retail_policy(
    retail: Library, shared_data: Path
) -> None:
    lines = (shared_data / "scifact" / "queries.jsonl").read_text(encoding="utf-8").splitlines()[:100]
    answered = [
        need
        for line in lines
        if retail.bundle(need := json.loads(line)["text"]).sufficiency != "insufficient"
    ]
    assert len(answered) <= 3
