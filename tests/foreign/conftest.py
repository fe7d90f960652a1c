"""A newcomer for each test, and for whole files where making one takes long."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.foreign.newcomer import Newcomer


@pytest.fixture(scope="session")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    """A folder with its people, made once; others are copies of it."""
    made = Newcomer(tmp_path_factory.mktemp("settled"))
    made.settle()
    return made


@pytest.fixture
def newcomer(settled: Newcomer, tmp_path: Path) -> Newcomer:
    """A newcomer with a folder of their own."""
    return copy_of(settled, tmp_path / "own")


def copy_of(settled: Newcomer, place: Path) -> Newcomer:
    """The same folder and the same keys at another place."""
    shutil.copytree(settled.place, place)
    return Newcomer(place)
