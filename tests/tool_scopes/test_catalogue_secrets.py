"""The secrets file is read strictly, and what is wrong with it is said without saying a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from tool_scopes.secrets_file import read_secrets
from tool_scopes.yaml_files import FileRefused


def file_of(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "secrets.env"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_secrets_are_lines_of_a_name_and_a_value(tmp_path: Path) -> None:
    path = file_of(tmp_path, "# ours\n\nDESK_TOKEN = a=b c \nOTHER=#1\r\n")
    assert read_secrets(path) == {"DESK_TOKEN": "a=b c", "OTHER": "#1"}


def test_without_a_file_there_are_no_secrets(tmp_path: Path) -> None:
    assert read_secrets(tmp_path / "secrets.env") == {}


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_file_that_others_may_touch_is_refused(mode: int, tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="chmod 600"):
        read_secrets(file_of(tmp_path, "A=b\n", mode))


@pytest.mark.parametrize(
    "line", ["hunter2", "A B=hunter2", "=hunter2", "1A=hunter2", "hunter2 =", "A=1\nA=hunter2"]
)
def test_a_mistake_is_named_by_its_line_and_never_by_a_value(line: str, tmp_path: Path) -> None:
    with pytest.raises(FileRefused) as refused:
        read_secrets(file_of(tmp_path, f"# first\n{line}\n"))
    assert "hunter2" not in str(refused.value)
    assert f"secrets.env:{2 + line.count(chr(10))}: " in str(refused.value)
