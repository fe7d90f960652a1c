"""Releases can be looked at as they were, compared, examined before they exist, and carried elsewhere."""

from pathlib import Path

import pytest

from context_store.bundles import build_bundle
from context_store.contents import diff_contents, exported_lines, exported_versions, release_contents
from context_store.errors import CurationRefused, ImportRefused, StoreUnavailable
from context_store.grants import CurationGrant
from context_store.importing import Imported, import_many
from context_store.intake import Intake
from context_store.provenance import ProvenanceId
from context_store.releases import Change, examine, retire, supersede
from tests.context_store.library import NOW, TENANT, Library

OLD = "Refunds are paid within 30 days of the return."
NEW = "Refunds are paid within 45 days of the return."
NEED = "How many days until refunds are paid after the return?"


def found(library: Library, release: int) -> list[str]:
    grant = library.grant(release=release)
    bundle = library.ledger.read(
        lambda reading: build_bundle(
            library.store, reading, grant, NEED, budget=600, now_ms=NOW, as_of=release
        )
    )
    return [item.quote for item in bundle.items]


def contents(library: Library, number: int) -> list[str]:
    return [str(one) for one in library.ledger.read(lambda r: release_contents(r, TENANT, number))]


def test_any_release_can_be_searched_as_it_was(library: Library) -> None:
    library.add(OLD)
    library.add(NEW)
    retire(library.store, library.ledger, TENANT, "policy", "carol")
    assert [found(library, number) for number in (0, 1, 2, 3)] == [[], [OLD], [NEW], []]
    assert [contents(library, number) for number in (0, 1, 2, 3)] == [[], ["policy@1"], ["policy@2"], []]


def test_two_releases_differ_by_what_came_went_and_changed(library: Library) -> None:
    library.add(OLD)
    library.add("A text about lamps.", "lamps.md")
    library.add(NEW)
    retire(library.store, library.ledger, TENANT, "lamps", "carol")
    before, after = (
        library.ledger.read(lambda reading, number=number: release_contents(reading, TENANT, number))
        for number in (2, 4)
    )
    difference = diff_contents(before, after)
    assert difference.removed == (ProvenanceId("lamps", 1),)
    assert difference.changed == ((ProvenanceId("policy", 1), ProvenanceId("policy", 2)),)
    assert diff_contents(after, before).added == (ProvenanceId("lamps", 1),)


def test_a_candidate_is_searched_and_leaves_nothing_behind(library: Library) -> None:
    library.add(OLD)
    version = library.accept(library.draft(NEW).id)
    entries = library.logged()

    def look(change: Change) -> list[list[str]]:
        assert change.added == (version,)
        # A run that reads meanwhile sees the release that there is.
        assert [item.quote for item in library.bundle(NEED, library.grant(release=99)).items] == [OLD]
        return [found(library, change.number - 1), found(library, change.number)]

    assert examine(library.store, library.ledger, TENANT, [version], "carol", look) == [[OLD], [NEW]]
    assert library.head() == 1
    assert library.logged() == entries
    assert found(library, 2) == [OLD]
    library.publish(version)
    assert found(library, 2) == [NEW]


def test_a_look_that_fails_and_a_version_that_was_not_accepted_leave_nothing_either(library: Library) -> None:
    version = library.draft(OLD).id

    def fail(_: Change) -> None:
        raise StoreUnavailable("The disk is full.")

    with pytest.raises(CurationRefused, match="only a version that was reviewed and accepted"):
        examine(library.store, library.ledger, TENANT, [version], "carol", fail)
    library.accept(version)
    with pytest.raises(StoreUnavailable):
        examine(library.store, library.ledger, TENANT, [version], "carol", fail)
    with library.store.reading() as cursor:
        assert cursor.execute("SELECT count(*) FROM published").fetchone() == (0,)


def test_case_74_a_source_that_another_one_supersedes_is_in_no_new_bundle_and_names_it(
    library: Library,
) -> None:
    library.add(OLD)
    library.add("Money goes back within 45 days, says the new handbook of refunds.", "handbook.md")
    before = library.grant()
    release = supersede(
        library.store, library.ledger, TENANT, "policy", "handbook", "carol", reason="one book is enough"
    )
    assert [str(one) for one in release.superseded] == ["policy@1"]
    assert OLD not in [item.quote for item in library.bundle(NEED, before).items]
    resolved = library.resolve("policy@1")
    assert resolved is not None
    assert (resolved.quote, resolved.standing) == (OLD, "superseded")
    assert str(resolved.successor) == "handbook@1"
    entry = next(one for one in library.ledger.entries() if one.kind == "version.superseded")
    assert entry.body["superseded_by"] == "handbook@1"
    assert entry.body["reason"] == "one book is enough"


def test_a_successor_that_may_not_be_read_is_not_named(library: Library) -> None:
    library.add(OLD)
    library.add("The new handbook of refunds.", "handbook.md", labels=frozenset({"secret"}))
    supersede(library.store, library.ledger, TENANT, "policy", "handbook", "carol")
    hidden, open_ = (
        library.resolve("policy@1"),
        library.resolve("policy@1", library.grant(labels=frozenset({"secret"}))),
    )
    assert hidden is not None
    assert open_ is not None
    assert (hidden.standing, hidden.successor) == ("superseded", None)
    assert str(open_.successor) == "handbook@1"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("none", "policy", "nothing to retire or supersede"),
        ("policy", "draft", "'draft' is none; publish it first"),
        ("policy", "policy", "superseded by another source in force"),
    ],
)
def test_only_a_source_in_force_takes_the_place_of_another_in_force(
    library: Library, old: str, new: str, said: str
) -> None:
    library.add(OLD)
    library.draft(NEW, "draft.md")
    with pytest.raises(CurationRefused, match=said):
        supersede(library.store, library.ledger, TENANT, old, new, "carol")


def export(library: Library, number: int) -> bytes:
    grant = CurationGrant(TENANT, "carol")
    return library.ledger.read(
        lambda reading: b"".join(exported_lines(library.store, reading, grant, number))
    )


def test_an_exported_release_comes_in_elsewhere_as_drafts_that_say_the_same(
    library: Library, tmp_path: Path
) -> None:
    front = "---\nid: fees\nlabels: [finance]\nvalid_until: 2040-01-01\nfacts: {fee.eur: 5}\n---\n"
    library.add(front + "# Fees\n\nThe fee is 5 EUR.\n\n---\n\nÉmigré 😀.")
    library.add("---\nno front matter, but it looks like it\n\nA text.", "odd.txt")
    raw = export(library, 2)
    (tmp_path / "other").mkdir()
    other = Library(tmp_path / "other")
    try:
        outcomes = import_many(
            other.store, other.ledger, exported_versions(raw, "r.jsonl"), Intake(TENANT, "zoe")
        )
        assert [str(one.id) for one in outcomes if isinstance(one, Imported)] == ["fees@1", "odd@1"]
        for source in ("fees", "odd"):
            other.accept(ProvenanceId(source, 1))
            other.publish(ProvenanceId(source, 1))
            grant = other.grant(labels=frozenset({"finance"}))
            mine, theirs = (
                library.resolve(f"{source}@1", library.grant(labels=frozenset({"finance"}))),
                other.resolve(f"{source}@1", grant),
            )
            assert mine is not None
            assert theirs is not None
            assert (mine.quote, mine.text_digest, mine.title, mine.valid_until_ms) == (
                theirs.quote,
                theirs.text_digest,
                theirs.title,
                theirs.valid_until_ms,
            )
            assert theirs.authority == "imported"
        assert other.resolve("fees@1") is None
    finally:
        other.close()


@pytest.mark.parametrize("damage", ["cut", "changed", "moved", "empty", "another"])
def test_a_file_that_is_no_whole_release_is_refused(library: Library, damage: str) -> None:
    library.add(OLD)
    raw = export(library, 1)
    damaged = {
        "cut": raw[: raw.rindex(b"\n", 0, -1) + 1],
        "changed": raw.replace(b"30 days", b"99 days"),
        "moved": raw.replace(b'"collection":"general"', b'"collection":"secrets"'),
        "empty": b"",
        "another": b'{"kind": "something"}\n{"sha256": "0"}\n',
    }[damage]
    with pytest.raises(ImportRefused):
        exported_versions(damaged, "r.jsonl")
    assert len(exported_versions(raw, "r.jsonl")) == 1
