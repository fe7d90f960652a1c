"""The benchmarks under load, at their smallest: every kind of call by k6, and memory over some calls."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from benchmarks import load, soak
from benchmarks.calls import Call, WrongAnswer
from benchmarks.governed_call import bare_read, peer
from benchmarks.k6 import run_k6
from benchmarks.registry import Extent


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_kind_of_call_is_measured_against_both_peers_and_every_answer_was_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(load, "CALLS", {2: 1})
    monkeypatch.setattr(load, "REPEATS", 2)
    rows = load.measure(Extent(rounds=1))
    assert {row.metric for row in rows} == {
        f"{kind} {word}, 2 clients" for kind in load.KINDS for word in ("p50", "p95")
    }
    assert len(rows) == 2 * len(load.KINDS) * len(load.PEER_NAMES)
    assert all(row.ours > 0 and row.peer > 0 for row in rows)


def test_a_wrong_answer_under_k6_ends_the_measurement(tmp_path: Path) -> None:
    right = bare_read("i-1")
    wrong = Call(right.tool, right.arguments, {"structuredContent.item": "i-2"})
    with peer("direct", tmp_path / "journal", tmp_path) as port:
        took = run_k6(port, [[right, right], [right, right]], tmp_path, itertools.count(1))
        assert (took.count, 0 < took.p50 <= took.p95) == (4, True)
        with pytest.raises(WrongAnswer, match="1 of 2 answers were wrong"):
            run_k6(port, [[right, wrong]], tmp_path, itertools.count(5))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_memory_is_told_beside_the_proxys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "CALLS_OF_A_ROUND", 80)
    grown, beside, proxys = soak.measure(Extent(rounds=2))
    assert grown.limit == soak.GROWTH
    assert "after 160 calls" in grown.metric
    assert min(grown.ours, grown.peer, beside.peer, proxys.ours) > 10
