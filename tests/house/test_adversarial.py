"""Each adversarial case has a test that carries its number, or stands in a list with the reason for it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.adversarial_cases import NOT_YET, TITLES, cases_in, shown_by
from tests.house.tree import ROOT

LAST = 105


@pytest.fixture(scope="module")
def shown() -> dict[int, list[str]]:
    """Case → tests, as pytest itself collects the whole suite."""
    command = (sys.executable, "-m", "pytest", "tests", "--collect-only", "-q", "-p", "no:cacheprovider")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout[-2_000:]
    return shown_by(line for line in done.stdout.splitlines() if "::" in line)


@pytest.mark.slow
def test_every_case_is_shown_by_a_test_or_said_to_be_missing(shown: dict[int, list[str]]) -> None:
    missing = {
        number: title for number, title in TITLES.items() if number not in shown.keys() | NOT_YET.keys()
    }
    assert missing == {}


@pytest.mark.slow
def test_nothing_is_said_to_be_missing_that_a_test_shows(shown: dict[int, list[str]]) -> None:
    assert sorted(NOT_YET.keys() & shown.keys()) == []


@pytest.mark.slow
def test_no_test_carries_the_number_of_a_case_that_is_not_listed(shown: dict[int, list[str]]) -> None:
    assert {number: tests for number, tests in shown.items() if number not in TITLES} == {}


def test_cases_are_numbered_without_a_gap_and_each_has_a_line_of_its_own() -> None:
    assert list(TITLES) == list(range(1, LAST + 1))
    assert len(set(TITLES.values())) == LAST
    assert NOT_YET.keys() <= TITLES.keys()
    assert all(NOT_YET.values())


@pytest.mark.shared_data
def test_the_published_list_has_exactly_these_cases(shared_data: Path) -> None:
    text = (shared_data.parent / "adversarial-cases.md").read_text("utf-8")
    assert {int(number) for number in re.findall(r"\((\d+)\)", text)} == set(TITLES)


@pytest.mark.parametrize(
    ("test_id", "cases"),
    [
        ("tests/rooms/test_x.py::test_case_41_fifty_spends[auto-1]", {41}),
        ("test_x.py::test_it[case_04-a default]", {4}),
        ("test_x.py::test_it[case_17_beyond_2_53]", {17}),
        ("test_x.py::test_it[case_17_1e400-auto]", {17}),
        ("test_x.py::test_cases_6_and_66_a_tool_that_changed", {6, 66}),
        ("test_x.py::test_cases_72_101_102_unreadable", {72, 101, 102}),
        ("test_x.py::test_cases_8_29_and_98_another", {8, 29, 98}),
        ("test_x.py::test_it[legacy-case_95_an_error]", {95}),
        ("test_x.py::test_a_lower_case_1_is_none", set[int]()),
        ("test_x.py::test_showcase_1", set[int]()),
    ],
    # Without their texts, which would count as tests of these cases.
    ids=[str(number) for number in range(10)],
)
def test_a_tests_id_names_its_cases(test_id: str, cases: set[int]) -> None:
    assert cases_in(test_id) == cases
