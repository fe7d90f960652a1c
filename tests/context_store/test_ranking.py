"""The ranking in arrays is that of plain SQL, under every grant, and stays so as releases come and go."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from context_store.ranking import rank
from context_store.releases import retire
from context_store.search import needed_words
from tests.context_store.library import NOW, TENANT, Library
from tests.context_store.plain_sql import rank_in_sql

SAID = "refund refunds refunded paying paid card cards parcel lost days order gift policies policy"
WORDS = SAID.split()
DAY = 86_400_000
WINDOWS = ["", "valid_until: 2030-01-01\n", "valid_from: 2030-01-01\n", "valid_until: 2020-01-01\n"]
IN_2031 = NOW + 5 * 365 * DAY


def texts() -> list[tuple[str, dict[str, Any]]]:
    """Forty documents of all kinds: common words and rare ones, labels, collections and windows."""
    made: list[tuple[str, dict[str, Any]]] = []
    for number in range(40):
        said = [WORDS[(number * step + step) % len(WORDS)] for step in range(1, 4 + number % 9)]
        body = "\n\n".join(f"{' '.join(said[at:])} rare{number} {said[at]}." for at in range(len(said) - 2))
        front = WINDOWS[number % len(WINDOWS)]
        intake = {
            "labels": frozenset(["finance"][: number % 2] + ["legal"][: number % 3 == 2]),
            "collection": ("policies", "notes")[number % 5 == 0],
        }
        made.append((f"---\nid: doc-{number}\n{front}---\n{body}", intake))
    return made


@pytest.fixture(scope="module")
def shelf() -> Iterator[Library]:
    with tempfile.TemporaryDirectory() as folder:
        library = Library(Path(folder))
        made = texts()
        # In three releases, so that the index has segments, and some versions are superseded or retired.
        for part in (made[:20], made[20:32], made[32:]):
            library.publish(*[library.accept(library.draft(text, **intake).id) for text, intake in part])
        library.add(made[2][0] + "\n\nA refund of a lost parcel.", "again.md", **made[2][1])
        retire(library.store, library.ledger, TENANT, "doc-4", "carol")
        yield library
        library.close()


@given(
    st.lists(st.sampled_from([*WORDS, "rare3", "rare25", "unheard"]), min_size=1, max_size=7).map(" ".join),
    st.frozensets(st.sampled_from(["finance", "legal"])),
    st.none() | st.frozensets(st.sampled_from(["policies", "notes"]), min_size=1),
    st.integers(1, 5),
    st.sampled_from([NOW, IN_2031]),
    st.sampled_from([1, 3, 50]),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_arrays_and_plain_sql_rank_alike(
    shelf: Library,
    need: str,
    labels: frozenset[str],
    collections: frozenset[str] | None,
    release: int,
    now_ms: int,
    depth: int,
) -> None:
    grant = shelf.grant(labels=labels, collections=collections, release=release)
    words = needed_words(need)[0]
    reach = shelf.store.reach(grant, shelf.head(), now_ms).current
    ranked = rank(reach, words, depth)
    names = reach.names([one.passage for one in ranked])
    ours = sorted((-one.score, names[one.passage][:3], one.matched, one.cover) for one in ranked)[:depth]
    with shelf.store.reading() as cursor:
        plain = rank_in_sql(cursor, grant, shelf.head(), words, now_ms, depth)
    assert [(name, matched) for _, name, matched, _ in ours] == [(tuple(row[:3]), row[4]) for row in plain]
    for (score, _, _, cover), row in zip(ours, plain, strict=True):
        assert (-score, cover) == pytest.approx((row[3], row[5]), abs=2e-6)


def test_common_words_are_skipped_only_where_that_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a board of many passages, so that leaders are found before all terms were added."""
    monkeypatch.setattr("context_store.ranking._FEW", 0)
    with tempfile.TemporaryDirectory() as folder:
        library = Library(Path(folder))
        body = "\n\n".join(
            f"common words everywhere {'odd ' * (n % 3)}{'rare ' * (n % 17 == 0)}number{n}."
            for n in range(400)
        )
        library.add(body)
        grant = library.grant()
        reach = library.store.reach(grant, 1, NOW).current
        for need in ("rare odd common words", "number7 common", "common words everywhere", "rare"):
            words = needed_words(need)[0]
            for depth in (1, 10, 50):
                ranked = rank(reach, words, depth)
                names = reach.names([one.passage for one in ranked])
                ours = sorted((-one.score, names[one.passage][:3]) for one in ranked)[:depth]
                with library.store.reading() as cursor:
                    plain = rank_in_sql(cursor, grant, 1, words, NOW, depth)
                assert [name for _, name in ours] == [tuple(row[:3]) for row in plain]
        library.close()


def test_what_a_release_brings_is_found_at_once_and_costs_only_itself(library: Library) -> None:
    library.add("\n\n".join(f"A parcel number{n} is lost." for n in range(60)))
    first = library.store.reach(library.grant(), 1, NOW).current.segments
    library.add("A lamp is blue.", "lamp.md")
    assert [item.quote for item in library.bundle("blue lamp").items] == ["A lamp is blue."]
    second = library.store.reach(library.grant(), 2, NOW).current.segments
    assert second[0] is first[0]
    assert [segment.size for segment in second] == [60, 1]
    # Small segments are joined, so that their number stays small.
    for number in range(4):
        library.add(f"A chair {number} is green.", f"chair-{number}.md")
        library.bundle("green chair")
    assert len(library.store.reach(library.grant(), library.head(), NOW).current.segments) <= 3


def test_loading_the_index_has_no_limit_on_time(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes as long as the library is large, and whoever waits for it could not ask for less."""
    library.add("A lamp is blue.")
    opened: list[float | None] = []
    reading = library.store.reading

    def limited(limit_s: float | None = 0.5) -> Any:
        opened.append(limit_s)
        return reading(limit_s)

    monkeypatch.setattr(library.store, "reading", limited)
    assert library.store.reach(library.grant(), 1, NOW).current.passages == 1
    assert opened == [None]


def test_a_window_that_opens_or_closes_is_noticed_without_a_release(library: Library) -> None:
    library.add("---\nvalid_until: 2030-01-01\n---\nA refund is paid by cheque.", "old.md")
    library.add("---\nvalid_from: 2030-01-01\n---\nA refund is paid by card.", "new.md")
    end = 1_893_456_000_000
    for now_ms, said in [
        (NOW, "cheque"),
        (end - 1, "cheque"),
        (end, "card"),
        (NOW, "cheque"),
        (end + DAY, "card"),
    ]:
        (item,) = library.bundle("How is a refund paid?", now_ms=now_ms).items
        assert item.quote == f"A refund is paid by {said}."
