"""The layering rules bind: each contract is tried on a small house in which somebody breaks it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.house.tree import FLOORS, ROOT, pyproject

# contract → (the module that breaks it, what that module says)
BREACHES = {
    "a lower floor that calls up": ("policies/gate.py", "import context_store", "floors"),
    "the lowest floor that calls the top": ("ledger/book.py", "from server import front", "floors"),
    "DuckDB outside the library": ("tool_scopes/rooms.py", "import duckdb", "duckdb"),
    "SQLAlchemy in a module that declares no tables": (
        "policies/people.py",
        "import sqlalchemy",
        "sqlalchemy",
    ),
    "SQLAlchemy at the front desk": ("server/front.py", "from sqlalchemy import select", "sqlalchemy"),
    "MCP in a room": ("tool_scopes/rooms.py", "import mcp.client", "mcp"),
    "MCP's wire types in the library": ("context_store/search.py", "import mcp_types", "mcp"),
    "Cedar outside its module": ("policies/decisions.py", "import cedarpy", "cedar"),
    "a floor that knows the examples": ("tool_scopes/rooms.py", "import examples.desk", "examples-above"),
    "a front desk that knows the examples": ("server/front.py", "import examples.desk", "examples-above"),
    "an example that reaches inside": ("examples/desk.py", "import ledger", "examples-below"),
}

ALLOWED = {
    "policies/tables.py": "import sqlalchemy",
    "ledger/log.py": "import sqlalchemy",
    "context_store/store.py": "import duckdb\nimport ledger",
    "tool_scopes/upstream/__init__.py": "import mcp",
    "tool_scopes/upstream/stdio.py": "import mcp_types",
    "server/front.py": "import mcp\nimport tool_scopes",
    "server/demo/walk.py": "import examples.desk",
    "policies/cedar.py": "import cedarpy",
    "policies/policy_syntax.py": "import cedarpy",
    "examples/desk.py": "import mcp",
}


def contracts() -> list[dict[str, Any]]:
    return pyproject()["tool"]["importlinter"]["contracts"]


def build_house(root: Path, modules: dict[str, str]) -> None:
    for floor in (*FLOORS, "examples"):
        (root / floor).mkdir()
        (root / floor / "__init__.py").touch()
    for name, text in modules.items():
        module = root / name
        module.parent.mkdir(exist_ok=True)
        (module.parent / "__init__.py").touch()
        module.write_text(text + "\n", encoding="utf-8")


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    # -P and the path: the small house is imported, and not the one that these tests stand in.
    command = (
        "import sys; sys.path.insert(0, '.'); "
        "from importlinter.cli import lint_imports_command; lint_imports_command()"
    )
    return subprocess.run(
        [sys.executable, "-P", "-c", command, "--config", str(ROOT / "pyproject.toml"), "--no-cache"],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_contracts_name_the_floors_of_the_house_in_order() -> None:
    (layers,) = [contract["layers"] for contract in contracts() if contract["type"] == "layers"]
    assert tuple(layers) == FLOORS
    wheel = pyproject()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(wheel) == set(pyproject()["tool"]["importlinter"]["root_packages"])


def test_a_house_in_which_everybody_keeps_the_rules_passes(tmp_path: Path) -> None:
    build_house(tmp_path, ALLOWED)
    result = lint(tmp_path)
    assert result.returncode == 0, result.stdout


def test_every_contract_has_a_breach_that_shows_it() -> None:
    assert {contract["id"] for contract in contracts()} == {broken for _, _, broken in BREACHES.values()}


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_is_found_and_named(breach: str, tmp_path: Path) -> None:
    module, text, broken = BREACHES[breach]
    build_house(tmp_path, ALLOWED | {module: text})
    result = lint(tmp_path)
    (name,) = [contract["name"] for contract in contracts() if contract["id"] == broken]
    assert result.returncode == 1, result.stdout
    assert f"{name} BROKEN" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("module", "text", "rule"),
    [
        ("policies/decisions.py", "from opentelemetry.sdk.trace import TracerProvider", "TID251"),
        ("context_store/semantic.py", "import sentence_transformers", "TID253"),
        ("server/front.py", "import torch", "TID253"),
    ],
)
def test_what_import_linter_cannot_see_is_found_by_ruff(module: str, text: str, rule: str) -> None:
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "ruff",
            "check",
            "--no-cache",
            "--output-format",
            "concise",
            "--stdin-filename",
            module,
            "-",
        ],
        cwd=ROOT,
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert rule in result.stdout
