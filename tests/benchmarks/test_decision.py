"""The benchmark of decisions: every answer is compared, and new questions are really new."""

from __future__ import annotations

import pytest

from benchmarks import decision
from benchmarks.calls import WrongAnswer
from benchmarks.registry import Extent


def test_new_and_known_questions_are_measured_against_both_ways_of_asking_cedar(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decision, "QUESTIONS", 50)
    rows = decision.measure(Extent(rounds=2))
    assert [(row.metric, row.peer_name) for row in rows] == [
        (decision.NEW, decision.HANDLES),
        (decision.NEW, decision.TEXTS),
        (decision.AGAIN, decision.HANDLES),
        (decision.AGAIN, decision.TEXTS),
    ]
    new, again = rows[0].ours, rows[2].ours
    assert 0 < again < new / 3


def test_a_wrong_answer_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision, "QUESTIONS", 10)
    right = decision.use_tool

    def never_approved(*arguments: object, **facts: object) -> object:
        return right(*arguments, **{**facts, "approved": False})  # type: ignore[arg-type]

    monkeypatch.setattr(decision, "use_tool", never_approved)
    with pytest.raises(WrongAnswer):
        decision.measure(Extent(rounds=1))
