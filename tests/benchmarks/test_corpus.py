"""The generated library of the benchmarks is one that the store takes, and what is asked of it is found."""

from pathlib import Path

from benchmarks.corpus import NOW_MS, Made, fill, grant, needs
from context_store.search import search
from context_store.store import KnowledgeStore


def test_a_generated_library_is_searched_like_any_other(tmp_path: Path) -> None:
    told: list[Made] = []
    with KnowledgeStore.open(tmp_path / "knowledge.duckdb") as store:
        fill(store, 400, seed=7, told=told.extend, words=4_000)
        reach = store.reach(grant(), 1, NOW_MS).current
        # A third carries labels, of which two in five are held; some are withdrawn, expired or not valid yet.
        assert len(told) == 400
        assert 200 < reach.passages < 350
        assert any(search(reach, need) for need in needs(store, 5, seed=11))
