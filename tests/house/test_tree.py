"""What may stand in the tree at all: no machine's own paths, no long rooms, no package without a purpose."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.house.tree import FLOORS, ROOT, project_files, pyproject, python_files

PRODUCT = (*FLOORS, "examples")
LONGEST_FILE = 320
LONGEST_TEST = 500

# Written in pieces, so that this file does not find itself.
MACHINE_PATH = re.compile(
    "(?<![\\w.])/(" + "|".join(["work", "root", "tm" + "p", "home", "Users", "farm"]) + ")/[\\w.-]"
)
REGISTRY_HOST = re.compile(
    "|".join(
        ["files.python" + "hosted", "registry.npm" + "js", "deb." + "debian.org", "pypi.org/" + "simple"]
    )
)
NOT_OURS = {"LICENSE"}


def lines_matching(pattern: re.Pattern[str]) -> list[str]:
    found: list[str] = []
    for path in project_files():
        if path.name in NOT_OURS:
            continue
        text = (ROOT / path).read_bytes().decode("utf-8", errors="replace")
        found += [
            f"{path}:{n}: {line.strip()[:100]}"
            for n, line in enumerate(text.splitlines(), 1)
            if pattern.search(line)
        ]
    return found


@pytest.mark.parametrize("pattern", [MACHINE_PATH, REGISTRY_HOST], ids=["machine path", "registry host"])
def test_no_file_names_a_path_of_one_machine_or_a_host_of_a_registry(pattern: re.Pattern[str]) -> None:
    assert lines_matching(pattern) == []


@pytest.mark.parametrize(
    "line", ["open('/tm" + "p/x')", "--data /wor" + "k/main", "index https://pypi.org/sim" + "ple"]
)
def test_the_search_for_machine_paths_and_hosts_finds_them(line: str) -> None:
    assert MACHINE_PATH.search(line) or REGISTRY_HOST.search(line)


def test_every_file_can_be_read_at_one_sitting() -> None:
    too_long = {
        str(path): lines
        for path in python_files()
        if (lines := len((ROOT / path).read_text(encoding="utf-8").splitlines()))
        > (LONGEST_TEST if path.parts[0] == "tests" else LONGEST_FILE)
    }
    assert too_long == {}


def test_every_folder_of_the_product_with_python_in_it_is_a_package() -> None:
    folders = {path.parent for path in python_files(*PRODUCT)}
    assert [str(folder) for folder in sorted(folders) if not (ROOT / folder / "__init__.py").is_file()] == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path)
        for path in python_files()
        if (text := (ROOT / path).read_text(encoding="utf-8")).strip()
        and not ast.get_docstring(ast.parse(text))
    ]
    assert silent == []


def imported_packages(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def test_every_package_that_the_product_imports_is_declared() -> None:
    project = pyproject()["project"]
    wanted = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    declared = {Requirement(line).name.lower().replace("_", "-") for line in wanted}
    # OpenTelemetry's API and the SDK's wire types come with the packages that define them.
    declared |= {"opentelemetry-api", "mcp-types"}
    providers = packages_distributions()
    undeclared: list[str] = []
    for path in python_files(*PRODUCT):
        for name in imported_packages(path) - set(PRODUCT) - set(sys.stdlib_module_names):
            distributions = {d.lower().replace("_", "-") for d in providers.get(name, [name])}
            if not distributions & declared:
                undeclared.append(f"{path}: {name}")
    assert undeclared == []
