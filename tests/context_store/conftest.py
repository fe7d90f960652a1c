"""A library of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.context_store.library import Library


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    made = Library(tmp_path)
    yield made
    made.close()
