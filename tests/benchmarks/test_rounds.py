"""The statistics behind every ratio."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.rounds import Rounds, in_turn, quantile

timings = st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=50)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([3.0], 0.5, 3.0),
        ([1.0, 2.0, 9.0], 0.5, 2.0),
        ([4.0, 1.0], 0.5, 2.5),
        ([1.0, 2.0, 3.0, 4.0, 5.0], 0.95, 4.8),
        ([5.0, 1.0, 3.0], 0.0, 1.0),
        ([5.0, 1.0, 3.0], 1.0, 5.0),
    ],
)
def test_a_quantile_lies_between_its_neighbours(values: list[float], share: float, expected: float) -> None:
    assert quantile(values, share) == pytest.approx(expected)


def test_there_is_no_quantile_of_nothing() -> None:
    with pytest.raises(ValueError, match="nothing"):
        quantile([], 0.5)


@given(timings, st.floats(min_value=0, max_value=1))
def test_a_quantile_never_leaves_the_range_of_its_values(values: list[float], share: float) -> None:
    assert min(values) <= quantile(values, share) <= max(values)


def test_one_bad_round_does_not_move_what_is_typical() -> None:
    rounds: Rounds[str] = Rounds()
    for middle in (2.0, 2.1, 900.0, 1.9, 2.2):
        rounds.add("ours", [middle - 1, middle, middle + 1])
    assert rounds.typical("ours") == pytest.approx(2.1)


def test_every_subject_has_its_turn_in_each_round_and_none_always_goes_first() -> None:
    rounds = [in_turn(["ours", "direct", "proxy"], number) for number in range(4)]
    assert [sorted(subjects) for subjects in rounds] == [["direct", "ours", "proxy"]] * 4
    assert [subjects[0] for subjects in rounds] == ["ours", "direct", "proxy", "ours"]
