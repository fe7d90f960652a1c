"""The stage on which the gate's tests play."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.policies.stage import Stage, set_stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A fresh ledger with people, an agent and a loaded gate."""
    made = set_stage(tmp_path)
    yield made
    made.ledger.close()
