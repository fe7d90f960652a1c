"""A grant never yields what it does not cover, and that leaves no trace in what it does yield."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from context_store.provenance import ProvenanceId
from context_store.quotes import verify_quotes
from context_store.releases import retire
from tests.context_store.library import NOW, TENANT, Library

WORDS = ["refund", "paid", "card", "parcel", "lost", "days", "order", "gift"]
LABELS = ["finance", "legal"]
COLLECTIONS = ["policies", "notes"]


@st.composite
def documents(draw: st.DrawFn) -> list[tuple[str, dict[str, Any]]]:
    made: list[tuple[str, dict[str, Any]]] = []
    for number in range(draw(st.integers(1, 5))):
        sentences = draw(
            st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=6), min_size=1, max_size=3)
        )
        facts = draw(st.sampled_from(["", "facts: {days: 30}\n", "facts: {days: 45}\n"]))
        text = f"---\nid: doc-{number}\n{facts}---\n" + "\n\n".join(
            " ".join(words) + " 30 45." for words in sentences
        )
        made.append(
            (
                text,
                {
                    "tenant": draw(st.sampled_from([TENANT, TENANT, "globex"])),
                    "labels": draw(st.frozensets(st.sampled_from(LABELS))),
                    "collection": draw(st.sampled_from(COLLECTIONS)),
                },
            )
        )
    return made


@given(
    documents(),
    st.frozensets(st.sampled_from(LABELS)),
    st.none() | st.frozensets(st.sampled_from(COLLECTIONS), min_size=1),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join),
)
@settings(max_examples=10, deadline=None)
def test_a_bundle_is_the_same_bytes_whether_or_not_there_is_more_than_the_grant_covers(
    made: list[tuple[str, dict[str, Any]]],
    labels: frozenset[str],
    collections: frozenset[str] | None,
    need: str,
) -> None:
    """Non-interference: items, their order, conflicts and sufficiency do not depend on what is withheld."""

    def covered(intake: dict[str, Any]) -> bool:
        asked = intake["labels"]
        assert isinstance(asked, frozenset)
        return (
            intake["tenant"] == TENANT
            and asked <= labels
            and (collections is None or intake["collection"] in collections)
        )

    bundles: list[bytes] = []
    for documents_there in (made, [one for one in made if covered(one[1])]):
        with tempfile.TemporaryDirectory() as folder:
            library = Library(Path(folder))
            try:
                for text, intake in documents_there:
                    library.accept(library.draft(text, **intake).id, str(intake["tenant"]))
                for tenant in (TENANT, "globex"):
                    mine = [
                        ProvenanceId(text.split("\n")[1].removeprefix("id: "), 1)
                        for text, intake in documents_there
                        if intake["tenant"] == tenant
                    ]
                    if mine:
                        library.publish(*mine, tenant=tenant)
                release = library.head()
                bundle = library.bundle(need, library.grant(labels=labels, collections=collections))
                for item in bundle.items:
                    number = int(item.id.source.removeprefix("doc-"))
                    assert covered(made[number][1])
                bundles.append(bundle.as_bytes().replace(f'"release":{release}'.encode(), b'"release":_'))
            finally:
                library.close()
    assert bundles[0] == bundles[1]


@pytest.mark.parametrize(
    "cited",
    ["secret@1", "secret@1:0-9", "none@1", "none@1:0-9", "policy@2", "policy@9", "globex-only@1", "draft@1",
     "policy@1:0-999999", "policy@1:31-33", "policy@1:32-40"],
)  # fmt: skip
def test_cases_72_101_102_unreadable_is_the_same_as_absent(library: Library, cited: str) -> None:
    library.add("Refunds are paid within 30 days.")  # 32 code points
    library.add("Salaries are paid monthly.", "secret.md", labels=frozenset({"finance"}))
    library.add("Refunds are for others.", "globex-only.md", tenant="globex", by="gina")
    library.draft("Refunds are a draft.", "draft.md")
    grant = library.grant()
    assert library.resolve(cited, grant) is None
    pairs = [(cited, quote) for quote in ("Salaries", "Refunds", "Refunds are", "")]
    found = library.ledger.read(lambda reading: verify_quotes(library.store, reading, grant, pairs, NOW))
    assert found == [None] * 4


def test_the_whole_text_can_be_cited_and_not_one_sign_more(library: Library) -> None:
    library.add("Refunds are paid within 30 days.")
    whole = library.resolve("policy@1:0-32")
    assert whole is not None
    assert whole.quote == "Refunds are paid within 30 days."


def test_pins_conflicts_and_staleness_obey_the_grant(library: Library) -> None:
    library.add("---\nfacts: {days: 30}\n---\nRefunds are paid within 30 days.", "policy.md")
    library.add(
        "---\nfacts: {days: 45}\n---\nRefunds are paid within 45 days.",
        "secret.md",
        labels=frozenset({"finance"}),
    )
    library.add("Parcels are insured.", "old.md", labels=frozenset({"finance"}))
    retire(library.store, library.ledger, TENANT, "old", "carol")
    assert library.bundle("refund days", pinned=["secret", "secret@1", "none"]).conflicts == ()
    assert library.bundle("insured parcels").sufficiency == "insufficient"
    trusted = library.grant(labels=frozenset({"finance"}))
    assert library.bundle("refund days", trusted).sufficiency == "contradictory"
    assert library.bundle("insured parcels", trusted).sufficiency == "stale"
