"""The files of this repository, as the house rules look at them."""

from __future__ import annotations

import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("server", "tool_scopes", "context_store", "policies", "ledger")


@cache
def project_files() -> tuple[Path, ...]:
    """Every file that is tracked or about to be (not ignored), relative to the root, sorted."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout.decode()
    return tuple(sorted(Path(name) for name in listed.split("\0") if name and (ROOT / name).is_file()))


def python_files(*folders: str) -> list[Path]:
    """The Python files under some top folders, or all of them."""
    found = [path for path in project_files() if path.suffix == ".py"]
    return [path for path in found if path.parts[0] in folders] if folders else found


@cache
def pyproject() -> dict[str, Any]:
    """The parsed ``pyproject.toml``."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
