"""Ids, tokens and times as text."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.clock import parse_rfc3339, rfc3339, system_now_ms
from ledger.ids import ALPHABET, is_id, new_id, random_token

_instants = st.integers(0, 253_402_300_799_999)  # up to the year 9999


@given(_instants)
def test_a_time_reads_back_as_it_was_written(ms: int) -> None:
    assert parse_rfc3339(rfc3339(ms)) == ms


@given(_instants, _instants)
def test_times_sort_as_text(one: int, other: int) -> None:
    assert (one < other) == (rfc3339(one) < rfc3339(other))


def test_a_time_has_the_form_of_the_protocol() -> None:
    assert rfc3339(1_795_391_100_123) == "2026-11-22T23:45:00.123Z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-22",
        "2026-11-22T23:45:00Z",
        "2026-11-22T23:45:00.12Z",
        "2026-11-22T23:45:00.123+00:00",
        "2026-11-22t23:45:00.123z",
        "2026-13-22T23:45:00.123Z",
        "٢٠٢٦-11-22T23:45:00.123Z",
    ],
)
def test_another_spelling_of_a_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|month"):
        parse_rfc3339(text)


def test_ids_sort_by_time_and_are_unique() -> None:
    ids = [new_id("run", ms) for ms in (0, 1, 31, 32, system_now_ms(), 2**48 - 1)]
    assert ids == sorted(set(ids))
    assert len({new_id("run", 5) for _ in range(1000)}) == 1000


@pytest.mark.parametrize("make", [lambda: new_id("run", 1_795_391_100_123), lambda: random_token("run")])
def test_ids_and_tokens_are_a_prefix_and_26_unambiguous_characters(make: Callable[[], str]) -> None:
    made = make()
    assert re.fullmatch(rf"run_[{ALPHABET}]{{26}}", made)
    assert is_id("run", made)
    assert set("ilou").isdisjoint(ALPHABET)


@pytest.mark.parametrize("text", ["", "run_", "run", "apr_" + "0" * 26, "run_" + "0" * 25, "run_" + "u" * 26])
def test_other_text_is_no_id(text: str) -> None:
    assert not is_id("run", text)
