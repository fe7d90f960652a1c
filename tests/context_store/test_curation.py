"""Curation: the order of states, four eyes, and an entry with a person's name for each act."""

import pytest

from context_store.curation import review, status_of, submit
from context_store.errors import CurationRefused
from context_store.grants import CurationGrant
from context_store.provenance import ProvenanceId
from context_store.releases import list_releases, retire
from context_store.sources import diff_versions, list_sources, show_version
from tests.context_store.library import TENANT, Library

V1 = ProvenanceId("policy", 1)


def test_every_act_is_in_the_log_with_its_person(library: Library) -> None:
    library.add("Refunds within 30 days.")
    retire(library.store, library.ledger, TENANT, "policy", "carol")
    assert [(entry.kind, entry.principal) for entry in library.ledger.entries()] == [
        ("source.proposed", "carol"),
        ("version.drafted", "carol"),
        ("version.submitted", "carol"),
        ("version.reviewed", "rita"),
        ("publish.begun", "carol"),
        ("release.published", "carol"),
        ("publish.begun", "carol"),
        ("release.published", "carol"),
        ("version.retired", "carol"),
    ]


def test_the_author_does_not_review_where_four_eyes_are_asked(library: Library) -> None:
    library.draft("Refunds within 30 days.")
    library.ledger.transact_now(lambda tx: submit(tx, TENANT, V1, "carol"))
    for reviewer, identities in (("carol", ()), ("c.smith", ("carol", "c.smith"))):
        with pytest.raises(CurationRefused, match="cannot review it too"):
            library.ledger.transact_now(
                lambda tx, by=reviewer, names=identities: review(
                    tx, TENANT, V1, by, "accept", identities=names
                )
            )
    accepted = library.ledger.transact_now(
        lambda tx: review(tx, TENANT, V1, "carol", "accept", four_eyes=False)
    )
    assert (accepted.status, accepted.reviewed_by) == ("in_review", "carol")


def test_a_version_that_is_sent_back_is_a_draft_again_and_loses_its_acceptance(library: Library) -> None:
    library.accept(library.draft("Refunds within 30 days.").id)
    library.ledger.transact_now(lambda tx: review(tx, TENANT, V1, "rita", "send_back", reason="which days?"))
    status = library.ledger.read(lambda reading: status_of(reading, TENANT, V1))
    assert status is not None
    assert (status.status, status.reviewed_by) == ("draft", None)
    with pytest.raises(CurationRefused, match="is draft; only a version that was reviewed"):
        library.publish(V1)


def test_states_cannot_be_skipped_or_repeated(library: Library) -> None:
    library.draft("Refunds within 30 days.")
    with pytest.raises(CurationRefused, match="must be in review"):
        library.ledger.transact_now(lambda tx: review(tx, TENANT, V1, "rita", "accept"))
    library.ledger.transact_now(lambda tx: submit(tx, TENANT, V1, "carol"))
    with pytest.raises(CurationRefused, match="must be draft"):
        library.ledger.transact_now(lambda tx: submit(tx, TENANT, V1, "carol"))
    with pytest.raises(CurationRefused, match="in review, but not accepted"):
        library.publish(V1)
    for missing in (ProvenanceId("policy", 2), ProvenanceId("none", 1)):
        with pytest.raises(CurationRefused, match="There is no version"):
            library.ledger.transact_now(lambda tx, version=missing: submit(tx, TENANT, version, "carol"))
        with pytest.raises(CurationRefused, match="There is no version"):
            library.publish(missing)


def test_another_tenants_version_does_not_exist(library: Library) -> None:
    library.draft("Refunds within 30 days.")
    with pytest.raises(CurationRefused, match="There is no version"):
        library.ledger.transact_now(lambda tx: submit(tx, "globex", V1, "gina"))
    assert library.ledger.read(lambda reading: status_of(reading, "globex", V1)) is None


def test_an_older_version_does_not_supersede_a_newer_one_and_one_source_is_published_once(
    library: Library,
) -> None:
    first = library.accept(library.draft("Refunds within 30 days.").id)
    second = library.accept(library.draft("Refunds within 45 days.").id)
    with pytest.raises(CurationRefused, match="Two versions of one source"):
        library.publish(first, second)
    library.publish(second)
    with pytest.raises(CurationRefused, match="newer than policy@1"):
        library.publish(first)
    with pytest.raises(CurationRefused, match="nothing to publish"):
        library.publish()
    with pytest.raises(CurationRefused, match="nothing to retire"):
        retire(library.store, library.ledger, TENANT, "other", "carol")


def test_curators_see_drafts_texts_and_what_differs(library: Library) -> None:
    library.add("---\nid: policy\nfacts: {days: 30}\n---\nRefunds within 30 days.\nAsk Bob.")
    library.draft("---\nid: policy\nfacts: {days: 45}\n---\nRefunds within 45 days.\nAsk Bob.")
    grant = CurationGrant(TENANT, "rita")
    (listed,) = library.ledger.read(lambda reading: list_sources(library.store, reading, grant))
    assert [(status.id.version, status.status) for status in listed.versions] == [
        (1, "published"),
        (2, "draft"),
    ]
    one, two = (
        library.ledger.read(
            lambda reading, n=n: show_version(library.store, reading, grant, ProvenanceId("policy", n))
        )
        for n in (1, 2)
    )
    assert one is not None
    assert two is not None
    assert two.text == "Refunds within 45 days.\nAsk Bob."
    changed = [line for line in diff_versions(one, two)[2:] if line[0] in "+-"]
    assert changed == ["-days=30", "+days=45", "-Refunds within 30 days.", "+Refunds within 45 days."]
    other = CurationGrant("globex", "gina")
    assert library.ledger.read(lambda reading: list_sources(library.store, reading, other)) == []
    assert (
        library.ledger.read(
            lambda reading: show_version(library.store, reading, other, ProvenanceId("policy", 1))
        )
        is None
    )


def test_releases_say_what_they_brought_and_took(library: Library) -> None:
    library.add("Refunds within 30 days.")
    library.add("Refunds within 45 days.")
    retire(library.store, library.ledger, TENANT, "policy", "carol")
    found = library.ledger.read(lambda reading: list_releases(reading, TENANT))
    assert [
        (r.number, list(map(str, r.added)), list(map(str, r.superseded)), list(map(str, r.retired)))
        for r in found
    ] == [
        (3, [], [], ["policy@2"]),
        (2, ["policy@2"], ["policy@1"], []),
        (1, ["policy@1"], [], []),
    ]
