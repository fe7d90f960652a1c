"""Bundles: whole quotes within a budget, contradictions with both sides, and the same bytes for ever."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from context_store.bundles import bundle_digest, bundle_id
from context_store.currency import changed_evidence
from context_store.errors import StoreUnavailable
from context_store.grants import CurationGrant
from context_store.provenance import ProvenanceId
from context_store.releases import retire
from context_store.shown import read_bundle, showings, was_shown
from context_store.tables import bundles
from context_store.tokens import estimate_tokens
from tests.context_store.library import NOW, TENANT, Library

DAY = 86_400_000
THIRTY = "---\nfacts: {refund_days: 30}\n---\n# Refunds\n\nA refund is paid within 30 days."
FORTY_FIVE = "---\nfacts: {refund_days: 45}\n---\n# Returns\n\nMoney comes back within 45 days."


def read(library: Library, name: str, **grant: Any) -> bytes | None:
    asked = library.grant(**grant)
    return library.ledger.read(lambda reading: read_bundle(reading, asked, name))


def test_a_bundle_says_all_that_its_contract_promises(library: Library) -> None:
    version = library.add(
        "---\nvalid_until: 2030-01-01\ncollection: policies\n---\n"
        "# Shop\n\n## Refunds\n\nRefunds are paid within 30 days."
    )
    found = json.loads(library.bundle("refunds").as_bytes())
    start = library.text_of(version).index("Refunds are")
    assert found == {
        "v": 1,
        "need": "refunds",
        "release": 1,
        "tenant": "acme",
        "items": [
            {
                "id": f"policy@1:{start}-{start + 32}",
                "quote": "Refunds are paid within 30 days.",
                "title": "Shop",
                "section": ["Shop", "Refunds"],
                "collection": "policies",
                "authority": "imported",
                "valid": {"from": None, "until": "2030-01-01T00:00:00.000Z"},
                "also": [],
            }
        ],
        "conflicts": [],
        "sufficiency": "sufficient",
        "budget": {"tokens": 600, "used": 11, "counter": "estimate-1"},
        "valid": {"from": None, "until": "2030-01-01T00:00:00.000Z"},
        "retrieved_with": {
            "scoring": "bm25-2",
            "terms": "terms-2",
            "passages": "passages-2",
            "relevance": "cover-2",
            "selection": "select-1 units-1",
            "statements": "statements-1",
            "semantic": "not in use",
        },
    }


def test_the_same_need_on_the_same_release_gives_the_same_bytes_also_after_reopening(
    library: Library,
) -> None:
    library.add(THIRTY, "a.md")
    library.add("Refunds go to the card.", "b.md")
    grant = library.grant()
    first = library.bundle("refund card days", grant)
    library.close()
    library.reopen()
    library.add("Refunds go out by post.", "later.md")
    again = library.bundle("refund card days", grant, now_ms=NOW + DAY)
    assert again.as_bytes() == first.as_bytes()
    assert first.id == bundle_id(bundle_digest(first.as_bytes()))
    assert len(first.id) == 44


def test_items_are_whole_and_one_that_does_not_fit_is_passed_over(library: Library) -> None:
    long = "A refund of a large order is paid " + "and checked and paid " * 20 + "within days."
    library.add(f"{long}\n\nA refund is paid.\n\nA refund by card is paid within days.")
    bundle = library.bundle("refund paid card days", budget=30)
    assert {item.quote for item in bundle.items} == {
        "A refund is paid.",
        "A refund by card is paid within days.",
    }
    assert bundle.used <= 30
    assert [left.why for left in bundle.left_out] == ["budget"]
    assert library.bundle("refund paid", budget=0).sufficiency == "insufficient"


def test_pinned_items_come_first_and_are_in_even_over_the_budget(library: Library) -> None:
    library.add("Refunds are paid by card.", "refunds.md")
    library.add("# Tone\n\nBe brief.\n\nBe kind.", "tone.md")
    bundle = library.bundle("refunds card", pinned=["tone"], budget=1)
    assert [item.quote for item in bundle.items] == ["Be brief.", "Be kind."]
    assert bundle.sufficiency == "insufficient"
    bundle = library.bundle("refunds card", pinned=["tone@1:8-17", "refunds"])
    assert [item.quote for item in bundle.items] == ["Be brief.", "Refunds are paid by card."]
    assert bundle.items[0].section == ("Tone",)
    assert bundle.sufficiency == "sufficient"
    assert library.bundle("", pinned=["tone@1"]).sufficiency == "sufficient"


@pytest.mark.parametrize(
    "pin", ["none", "none@1", "tone@1:0-999", "tone@9", "tone@1:x", "Not a pin", "tone@"]
)
def test_a_pin_that_names_nothing_leaves_the_evidence_insufficient(library: Library, pin: str) -> None:
    library.add("Be brief.", "tone.md")
    bundle = library.bundle("", pinned=[pin])
    assert (bundle.items, bundle.sufficiency) == ((), "insufficient")
    assert [(left.id, left.why) for left in bundle.left_out] == [(pin, "not_in_force")]


def test_case_75_two_values_of_one_fact_are_both_shown_and_the_bundle_is_contradictory(
    library: Library,
) -> None:
    library.add(THIRTY, "a.md")
    library.add(FORTY_FIVE, "b.md")
    # The search finds only one of them, and the budget has room for none.
    bundle = library.bundle("refund paid", budget=0)
    assert bundle.sufficiency == "contradictory"
    assert {item.quote for item in bundle.items} == {
        "A refund is paid within 30 days.",
        "Money comes back within 45 days.",
    }
    assert [conflict.as_json() for conflict in bundle.conflicts] == [
        {
            "kind": "fact",
            "fact": "refund_days",
            "sides": [
                {"value": 30, "item": str(bundle.items[0].id)},
                {"value": 45, "item": str(bundle.items[1].id)},
            ],
        }
    ]


def test_a_contradiction_is_found_before_items_that_say_the_same_are_collapsed(library: Library) -> None:
    library.add("---\nfacts: {open: true}\n---\nThe desk is open as usual.", "a.md")
    library.add("---\nfacts: {open: false}\n---\nThe desk is open, as usual!", "b.md")
    bundle = library.bundle("Is the desk open?")
    assert bundle.sufficiency == "contradictory"
    assert {item.id.source for item in bundle.items} == {"a", "b"}


def test_facts_that_agree_or_are_not_touched_contradict_nothing(library: Library) -> None:
    library.add(THIRTY, "a.md")
    library.add(THIRTY.replace("30}", "30.0}"), "b.md")
    library.add("---\nfacts: {opening_hour: 8}\n---\nThe desk opens at 8 sharp.", "c.md")
    library.add("---\nfacts: {opening_hour: 9}\n---\nThe desk opens at 9 sharp.", "d.md")
    assert library.bundle("refund paid").sufficiency == "sufficient"
    assert library.bundle("When does the desk open?").sufficiency == "contradictory"


def test_items_that_say_the_same_are_shown_once_and_name_the_others(library: Library) -> None:
    library.add("A refund is paid within 30 days.", "a.md")
    library.add("- A *refund* is paid\n  within 30 days", "b.md")
    library.add("A refund is never paid within 30 days.", "c.md")
    bundle = library.bundle("refund paid days")
    assert [item.quote for item in bundle.items] == [
        "A refund is paid within 30 days.",
        "A refund is never paid within 30 days.",
    ]
    assert [conflict.kind for conflict in bundle.conflicts] == ["negation"]
    assert [str(other.whole()) for other in bundle.items[0].also] == ["b@1"]
    library.show(bundle)
    retire(library.store, library.ledger, TENANT, "b", "carol")
    # What is named beside an item was shown too, so its change counts.
    changed = library.ledger.read(lambda reading: changed_evidence(reading, "run_1", NOW))
    assert [str(one.version) for one in changed] == ["b@1"]


@pytest.mark.parametrize(
    ("one", "other"),
    [("A fee of 5 % is due.", "A fee of 5 $ is due."), ("A fee of -5 is due.", "A fee of 5 is due."),
     ("A fee is due.", "A fee is due?"), ("A fee is due.", "No fee is due."),
     ("A fee of 1.5 is due.", "A fee of 15 is due.")],
)  # fmt: skip
def test_texts_that_may_mean_something_else_are_both_shown(library: Library, one: str, other: str) -> None:
    library.add(one, "a.txt")
    library.add(other, "b.txt")
    assert {item.quote for item in library.bundle("Is a fee due?").items} == {one, other}


@pytest.mark.parametrize(
    ("front", "sufficiency"),
    [
        pytest.param("valid_until: 2020-01-01", "stale", id="74-expired"),
        pytest.param("valid_from: 2100-01-01", "insufficient", id="74-not-yet-valid"),
        pytest.param("valid_from: 2020-01-01", "sufficient", id="74-in-force"),
    ],
)
def test_case_74_what_is_not_in_force_is_never_in_a_new_bundle(
    library: Library, front: str, sufficiency: str
) -> None:
    library.add(f"---\n{front}\n---\nA refund is paid within 30 days.")
    bundle = library.bundle("refund paid", pinned=["policy"])
    assert bundle.sufficiency == sufficiency
    assert bool(bundle.items) == (sufficiency == "sufficient")


def test_a_pin_on_a_superseded_version_makes_the_evidence_stale(library: Library) -> None:
    library.add("A refund is paid within 30 days.")
    library.add("A refund is paid within 45 days.")
    bundle = library.bundle("refund paid", pinned=["policy@1"])
    assert ([item.id.version for item in bundle.items], bundle.sufficiency) == ([2], "stale")


def test_a_bundle_that_was_shown_is_served_for_ever_and_says_what_changed(library: Library) -> None:
    library.add("A refund is paid within 30 days.")
    bundle = library.bundle("refund paid")
    name = library.show(bundle)
    assert library.show(bundle) == name
    assert library.ledger.read(lambda reading: changed_evidence(reading, "run_1", NOW)) == []
    library.add("A refund is paid within 45 days.")
    library.close()
    library.reopen()
    assert read(library, name) == bundle.as_bytes()
    (changed,) = library.ledger.read(lambda reading: changed_evidence(reading, "run_1", NOW))
    assert (changed.bundle, changed.version, changed.standing) == (
        name,
        ProvenanceId("policy", 1),
        "superseded",
    )
    assert library.ledger.read(lambda reading: changed_evidence(reading, "run_2", NOW)) == []


def test_evidence_changes_when_its_validity_ends(library: Library) -> None:
    library.add("---\nvalid_until: 2030-01-01\n---\nA refund is paid within 30 days.")
    library.show(library.bundle("refund paid"))
    end = 1_893_456_000_000
    for now_ms, standings in [(end - 1, []), (end, ["expired"])]:
        changed = library.ledger.read(lambda reading, at=now_ms: changed_evidence(reading, "run_1", at))
        assert [one.standing for one in changed] == standings


def test_case_98_another_runs_bundle_is_as_if_absent_and_people_of_the_tenant_see_all(
    library: Library,
) -> None:
    library.add("A refund is paid within 30 days.")
    bundle = library.bundle("refund paid")
    name = library.show(bundle)
    assert read(library, name, run="run_2") is None
    assert read(library, name, run=None) is None
    assert read(library, name, tenant="globex") is None
    assert read(library, "bnd_none") is None
    for tenant, expected in ((TENANT, bundle.as_bytes()), ("globex", None)):
        person = CurationGrant(tenant, "rita")
        assert library.ledger.read(lambda reading, who=person: read_bundle(reading, who, name)) == expected


def test_what_a_run_was_shown_is_listed_by_epoch_and_can_be_asked_by_version(library: Library) -> None:
    version = library.add("A refund is paid within 30 days.")
    first, second = library.bundle("refund paid"), library.bundle("unrelated chemistry")
    library.show(first)
    library.show(second, library.grant(step="plan", epoch=2))
    shown = library.ledger.read(lambda reading: showings(reading, "run_1"))
    assert [(one.bundle, one.digest, one.step, one.sufficiency) for one in shown] == [
        (first.id, first.digest, "read", "sufficient"),
        (second.id, second.digest, "plan", "insufficient"),
    ]
    assert [
        one.bundle for one in library.ledger.read(lambda reading: showings(reading, "run_1", since=2))
    ] == [second.id]
    for run, cited, expected in [
        ("run_1", version.at(0, 3), True),
        ("run_1", ProvenanceId("policy", 2), False),
        ("run_2", version, False),
    ]:
        assert library.ledger.read(lambda reading, r=run, c=cited: was_shown(reading, r, c)) is expected


def test_every_showing_is_logged_with_its_edges_and_what_was_left_out(library: Library) -> None:
    library.add("A refund is paid.\n\nA refund is paid " + "and paid " * 60 + ".")
    bundle = library.bundle("refund paid", budget=20)
    name = library.show(bundle)
    library.show(bundle)
    served = list(library.ledger.entries(kinds=["bundle.served"]))
    assert len(served) == 2
    assert (served[0].run, served[0].principal, served[0].body["bundle"]) == ("run_1", "bot", name)
    assert [tuple(edge) for edge in served[0].rests_on] == [
        (name, "quotes", str(bundle.items[0].id)),
        ("run_1", "was_shown", name),
    ]
    assert served[0].body["left_out"] == [{"id": bundle.left_out[0].id, "why": "budget"}]


def test_case_77_what_is_withheld_for_access_stands_in_the_receipt_and_nowhere_else(library: Library) -> None:
    library.add("A refund is paid within 30 days.")
    before = library.bundle("When is a refund paid?")
    hidden = library.add(
        "A refund of the board is paid within 3 days.", "board.md", labels=frozenset({"board"})
    )
    after = library.bundle("When is a refund paid?", library.grant(release=library.head()))
    # Nothing that is read tells that there is more, but for the number of the release.
    assert [item.quote for item in after.items] == [item.quote for item in before.items]
    assert {**after.as_json(), "release": None} == {**before.as_json(), "release": None}
    library.show(after)
    (served,) = library.ledger.entries(kinds=["bundle.served"])
    withheld = served.body["left_out"]
    assert isinstance(withheld, list)
    assert [dict(one)["why"] for one in withheld if isinstance(one, dict)] == ["access"]
    assert str(withheld[0]).find(str(hidden)) > 0


def test_a_bundle_is_shown_to_a_step_only(library: Library) -> None:
    bundle = library.bundle("anything")
    for fields in ({"run": None}, {"step": None}, {"epoch": None}, {"tenant": "globex"}):
        with pytest.raises(ValueError, match="a step of a run"):
            library.show(bundle, library.grant(**fields))


def test_stored_bytes_that_are_not_those_that_were_served_are_not_served(library: Library) -> None:
    library.add("A refund is paid within 30 days.")
    name = library.show(library.bundle("refund paid"))
    with pytest.raises(Exception, match="append-only"):
        library.ledger.transact_now(lambda tx: tx.execute(bundles.update().values(bytes=b"{}")))
    library.ledger.transact_now(
        lambda tx: tx.connection.exec_driver_sql("DROP TRIGGER bundles_refuses_update")
    )
    library.ledger.transact_now(lambda tx: tx.execute(bundles.update().values(bytes=b"{}")))
    with pytest.raises(StoreUnavailable, match="not those that were served"):
        read(library, name)


@given(st.text(max_size=200))
def test_the_estimate_of_tokens_grows_with_the_text_and_counts_every_sign(text: str) -> None:
    assert estimate_tokens(text) >= len(text) / 3
    assert estimate_tokens(text + "x") >= estimate_tokens(text)
    assert estimate_tokens("字" * 4) == 6
