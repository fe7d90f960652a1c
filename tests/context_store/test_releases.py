"""Publishing spans two stores: whatever fails, wherever a process dies, the release is before or after."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from context_store import releases
from context_store.check import check_store
from context_store.errors import StoreUnavailable
from context_store.grants import ReadGrant
from context_store.releases import retire
from ledger.errors import LedgerUnavailable
from tests.context_store.library import TENANT, Library

ROOT = Path(__file__).resolve().parents[2]
OLD, NEW = "Refunds are paid within 30 days.", "Refunds are paid within 45 days."
NEED = "When are refunds paid?"


def quotes(library: Library, grant: ReadGrant | None = None) -> list[str]:
    return [item.quote for item in library.bundle(NEED, grant).items]


def is_whole(library: Library) -> bool:
    return check_store(library.store, library.ledger).problems == ()


def test_a_release_supersedes_and_old_ids_resolve_and_say_so(library: Library) -> None:
    library.add(OLD)
    library.add(NEW)
    assert quotes(library) == [NEW]
    old = library.resolve("policy@1:0-7")
    assert old is not None
    assert (old.quote, old.standing, str(old.successor)) == ("Refunds", "superseded", "policy@2")


def test_a_candidate_is_invisible_until_the_head_moves(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add(OLD)
    version = library.accept(library.draft(NEW).id)
    write = releases.write_candidate  # pyright: ignore[reportPrivateUsage]
    written: list[bool] = []

    def note(*args: Any) -> None:
        write(*args)
        written.append(True)

    transact = library.ledger.transact_now
    seen: list[tuple[bool, list[str], bool]] = []

    def look_first(work: Any) -> Any:
        reaching = library.grant(release=99)
        seen.append((bool(written), quotes(library, reaching), library.resolve("policy@2", reaching) is None))
        return transact(work)

    monkeypatch.setattr(releases, "write_candidate", note)
    monkeypatch.setattr(library.ledger, "transact_now", look_first)
    library.publish(version)
    assert seen == [(False, [OLD], True), (True, [OLD], True)]
    assert quotes(library) == [NEW]


@pytest.mark.parametrize("stage", ["_begin", "write_candidate", "_move_head"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("reopened", [False, True], ids=["same process", "reopened"])
def test_a_publication_that_fails_anywhere_leaves_the_release_before_and_can_be_repeated(
    library: Library, monkeypatch: pytest.MonkeyPatch, stage: str, after: bool, reopened: bool
) -> None:
    library.add(OLD)
    version = library.accept(library.draft(NEW).id)
    real = getattr(releases, stage)

    def fail(*args: Any) -> Any:
        if after:
            real(*args)
        raise LedgerUnavailable("The disk is full.")

    with monkeypatch.context() as broken:
        broken.setattr(releases, stage, fail)
        with pytest.raises(LedgerUnavailable):
            library.publish(version)
    if reopened:
        library.close()
        library.reopen()
        assert is_whole(library)
    assert quotes(library) == [OLD]
    assert library.resolve("policy@2") is None
    library.publish(version)
    assert (library.head(), quotes(library)) == (2, [NEW])
    assert is_whole(library)


PROGRAM = """
import os, sys
from pathlib import Path
import context_store.tables
from context_store import releases
from context_store.opening import open_knowledge
from context_store.provenance import ProvenanceId
from ledger.keyring import KeyRing
from ledger.ledger import Ledger

folder, stage, after = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "True"
url, keys = f"sqlite:///{folder / 'ledger.db'}", KeyRing.load(folder / "keys")
ledger = Ledger.open(url, keys, origin="bailiwick.test/library")
store = open_knowledge(folder / "knowledge.duckdb", ledger)
real = getattr(releases, stage)

def die(*args):
    if after:
        real(*args)
    os._exit(9)

if stage != "publish":
    setattr(releases, stage, die)
releases.publish(store, ledger, "acme", [ProvenanceId("policy", 2)], "carol")
os._exit(9)
"""


@pytest.mark.parametrize(
    ("stage", "after", "release"),
    [
        ("_begin", False, 1),
        ("_begin", True, 1),
        ("drop_candidate", True, 1),
        ("write_candidate", False, 1),
        ("write_candidate", True, 1),
        ("_move_head", False, 1),
        ("_move_head", True, 1),
        ("publish", False, 2),
    ],
)
def test_case_79_a_process_killed_while_publishing_leaves_the_release_before_or_after(
    library: Library, stage: str, after: bool, release: int
) -> None:
    library.add(OLD)
    library.accept(library.draft(NEW).id)
    library.close()
    arguments = [sys.executable, "-c", PROGRAM, str(library.folder), stage, str(after)]
    assert subprocess.run(arguments, cwd=ROOT, timeout=60, check=False).returncode == 9
    library.reopen()
    assert library.head() == release
    assert quotes(library) == [OLD if release == 1 else NEW]
    assert is_whole(library)


def test_a_retired_source_is_in_no_new_bundle_and_its_ids_resolve(library: Library) -> None:
    library.add(OLD)
    before = library.grant()
    retire(library.store, library.ledger, TENANT, "policy", "carol")
    # Also not for a run that pinned the release before.
    assert library.bundle(NEED, before).items == ()
    found = library.resolve("policy@1")
    assert found is not None
    assert (found.quote, found.standing, found.successor) == (OLD, "retired", None)


def test_a_retired_text_can_be_brought_back_as_a_new_version(library: Library) -> None:
    library.add(OLD)
    retire(library.store, library.ledger, TENANT, "policy", "carol")
    assert str(library.add(OLD)) == "policy@2"
    assert quotes(library) == [OLD]


def test_a_grant_on_an_older_release_does_not_see_what_was_published_later(library: Library) -> None:
    library.add(OLD)
    before = library.grant()
    library.add("Refunds are paid by bank transfer when the card has expired.", "cards.md")
    assert [item.quote for item in library.bundle(NEED, before).items] == [OLD]
    assert library.resolve("cards@1", before) is None
    assert len(library.bundle(NEED).items) == 2


def test_tenants_publish_without_noticing_each_other(library: Library) -> None:
    library.add(OLD)
    library.add(NEW, tenant="globex", by="gina")
    assert (library.head(), library.head("globex"), library.head("nobody")) == (1, 1, 0)
    assert quotes(library) == [OLD]
    assert [item.quote for item in library.bundle(NEED, library.grant(tenant="globex")).items] == [NEW]


def test_a_text_that_was_changed_after_its_review_is_not_published(library: Library) -> None:
    version = library.accept(library.draft(OLD).id)
    with library.store.writing() as cursor:
        cursor.execute("UPDATE versions SET text = 'Refunds are never paid.', text_digest = 'sha256:0'")
    with pytest.raises(StoreUnavailable, match="does not hold policy@1 as it was reviewed"):
        library.publish(version)
    assert library.head() == 0
