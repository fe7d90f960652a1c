"""Flags win over the environment, and that over the folder's file; the docs list exactly what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from server.data_folder import DataFolder, create_folder
from server.errors import BadInput
from server.settings import NOT_IN_FILE, PREFIX, Settings, load_settings
from tests.server.office import ROOT, clean_environment


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataFolder:
    clean_environment(monkeypatch, tmp_path / "config")
    return create_folder(tmp_path / "data")


def test_what_nobody_said_is_the_default(folder: DataFolder) -> None:
    settings = load_settings(folder)
    assert (settings.host, settings.port, settings.log_level) == ("127.0.0.1", 8765, "info")


def test_flags_win_over_the_environment_and_that_over_the_file(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.settings_file.write_text('port = 1001\nhost = "localhost"\nlog_level = "error"\n')
    assert load_settings(folder).port == 1001
    monkeypatch.setenv("BAILIWICK_PORT", "1002")
    monkeypatch.setenv("BAILIWICK_LOG_LEVEL", "debug")
    settings = load_settings(folder, port=1003, host=None)
    assert (settings.port, settings.log_level, settings.host) == (1003, "debug", "localhost")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("port = 70000", "setting port cannot be used: .*; mend .*bailiwick.toml"),
        ("port = [", "is not TOML"),
        (
            "prot = 1",
            "prot is no setting of this file; it knows agent_at_once, agent_rate, agent_share, fetch_private",
        ),
        ('key = "mine.json"', "key is no setting of this file"),
        ('agent_key = "bwk_0"', "agent_key is no setting of this file"),
    ],
)
def test_a_file_that_says_what_it_cannot_is_refused(folder: DataFolder, text: str, sentence: str) -> None:
    folder.settings_file.write_text(text)
    with pytest.raises(BadInput, match=sentence):
        load_settings(folder)


def test_a_bad_value_names_the_place_where_it_was_said(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadInput, match="mend the option --port"):
        load_settings(folder, port=-1)
    monkeypatch.setenv("BAILIWICK_PORT", "http")
    with pytest.raises(BadInput, match="mend the variable BAILIWICK_PORT"):
        load_settings(folder)


def test_an_agent_key_is_not_shown(folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAILIWICK_AGENT_KEY", "bwk_secret")
    assert "bwk_secret" not in repr(load_settings(folder))


def test_the_docs_list_every_setting_with_its_default_and_its_places() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \|", (ROOT / "docs" / "settings.md").read_text(), re.M
    )
    documented = {name: (variable, filed, default) for name, variable, filed, default in rows}
    assert documented.keys() == Settings.model_fields.keys()
    for name, field in Settings.model_fields.items():
        variable, filed, default = documented[name]
        assert variable == f"`{PREFIX}{name.upper()}`"
        assert filed == ("no" if name in NOT_IN_FILE else "yes")
        assert default == ("none" if field.default is None else f"`{field.default}`")
