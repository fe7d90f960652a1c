"""An office for each test, copied from one that is made once: its people's keys stay the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.server.office import Office, clean_environment, found_office


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Office]:
    """The office that others are copies of, and the folder it lies in."""
    place = tmp_path_factory.mktemp("office")
    with pytest.MonkeyPatch.context() as patch:
        clean_environment(patch, place / "config")
        return place, found_office(place)


@pytest.fixture
def office(template: tuple[Path, Office], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    """An office of its own for a test; commands find it without --data."""
    place, made = template
    shutil.copytree(place, tmp_path / "office")
    clean_environment(monkeypatch, tmp_path / "office" / "config")
    copied = Office(tmp_path / "office" / "data", made.bot_key)
    monkeypatch.setenv("BAILIWICK_DATA", str(copied.root))
    return copied
