"""The benchmarks of scopes, at their smallest: what they promise, and that they look at every answer."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from benchmarks import many_runs, tool_list
from benchmarks.calls import LIST, Call, WrongAnswer, check_answer, wire_bytes
from benchmarks.many_tools import COUNT, tools
from benchmarks.registry import Extent


def test_a_list_is_asked_for_as_a_list_and_compared_as_a_whole() -> None:
    call = Call("", {}, {"tools": [{"name": "a"}]}, bearer="bwp_x", method=LIST)
    raw = wire_bytes(call, 7, 80)
    assert b"mcp-method: tools/list\r\n" in raw
    assert b"mcp-name" not in raw
    assert b'"arguments"' not in raw
    check_answer(call, '{"result": {"tools": [{"name": "a"}]}}')
    with pytest.raises(WrongAnswer):
        check_answer(call, '{"result": {"tools": [{"name": "a"}, {"name": "b"}]}}')


def test_there_are_five_hundred_tools_of_which_a_step_has_eight() -> None:
    assert len({tool.name for tool in tools()}) == COUNT == 500
    assert tool_list.SEEN == 8
    assert many_runs.AGENTS * many_runs.RUNS == 1_000


@pytest.mark.slow
def test_many_runs_are_measured_and_every_answer_was_of_its_own_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_runs, "AGENTS", 3)
    monkeypatch.setattr(many_runs, "RUNS", 4)
    rows = {row.metric: row for row in many_runs.measure(Extent(rounds=1))}
    wrong = rows.pop("wrong answers, of all that were checked")
    # Two rounds of reads, and five attempts in each run.
    assert (wrong.ours, wrong.peer, wrong.most) == (0, 12 * (2 + 5), 0)
    assert all(row.ours > 0 and row.peer > 0 for row in rows.values())
    assert set(rows) == {f"read {word}, 3 agents at once, 12 open runs" for word in ("p50", "p95")}


def test_an_answer_of_another_run_would_end_the_measurement() -> None:
    run = many_runs._Run("run_1", "bwk_1", "a0-r0")  # pyright: ignore[reportPrivateUsage]
    said = {"code": "done", "result": {"structuredContent": {"item": "a0-r1"}}}
    with pytest.raises(WrongAnswer, match="a0-r1"):
        check_answer(run.read(at_url=False), json.dumps({"result": {"structuredContent": said}}))
    assert "item" not in str(run.read(at_url=True).arguments)


@pytest.mark.slow
def test_a_step_of_eight_among_five_hundred_tools_is_measured_beside_a_bare_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tool_list, "CALLS", {1: 2})
    monkeypatch.setattr(tool_list, "_in_tokens", list)
    rows = tool_list.measure(Extent(rounds=1))
    assert Counter(row.limit for row in rows) == {1.0: 2, None: 2}
    assert all(row.ours > 0 and row.peer > 0 for row in rows)


@pytest.mark.shared_data
def test_a_step_costs_fewer_tokens_than_all_tools() -> None:
    rows = tool_list._in_tokens()  # pyright: ignore[reportPrivateUsage]
    assert len(rows) == 6
    assert all(0 < row.ours < row.peer for row in rows)
    assert {row.peer for row in rows} == {rows[0].peer, rows[-1].peer}
