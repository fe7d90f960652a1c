"""The lock files hold what pyproject.toml asks for: pinned, hashed, in agreement, and without PyTorch."""

from __future__ import annotations

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.tree import ROOT, pyproject

LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-semantic.lock")


def pins(lock: str) -> dict[str, list[tuple[str, int]]]:
    """Name → (version, number of hashes), once for each marker that has its own version."""
    text = re.sub(r"\\\n\s*", " ", (ROOT / lock).read_text(encoding="utf-8"))
    found: dict[str, list[tuple[str, int]]] = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        requirement = Requirement(line.split(" --hash")[0])
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", line
        found.setdefault(canonicalize_name(requirement.name), []).append(
            (specifier.version, line.count("--hash=sha256:"))
        )
    return found


def asked_for(lock: str) -> list[Requirement]:
    project, groups = pyproject()["project"], pyproject()["dependency-groups"]
    more = {
        "requirements.lock": groups["build"],
        "requirements-dev.lock": groups["build"]
        + groups["dev"]
        + project["optional-dependencies"]["postgres"],
        "requirements-semantic.lock": project["optional-dependencies"]["semantic"],
    }
    return [Requirement(line) for line in project["dependencies"] + more[lock]]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_everything_that_is_asked_for_within_its_range(lock: str) -> None:
    pinned = pins(lock)
    for wanted in asked_for(lock):
        versions = [version for version, _ in pinned[canonicalize_name(wanted.name)]]
        assert all(wanted.specifier.contains(version) for version in versions), wanted


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_its_hashes_and_no_address(lock: str) -> None:
    assert [name for name, versions in pins(lock).items() if any(hashes == 0 for _, hashes in versions)] == []
    lines = (ROOT / lock).read_text(encoding="utf-8").splitlines()
    assert [
        line
        for line in lines
        if "://" in line or line.lstrip().startswith(("--index", "--extra-index", "--find"))
    ] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_pytorch_and_what_only_it_asks_for_is_in_no_lock(lock: str) -> None:
    assert [name for name in pins(lock) if re.match(r"(torch|triton|nvidia|cuda)", name)] == []


def test_an_extra_that_a_package_asks_for_is_named_in_the_lock() -> None:
    """Where it names only the bare package, pip meets `package[extra]` unpinned and refuses everything,
    from the day on which a newer version of that package is published.
    """
    named: dict[str, set[str]] = {}
    for line in re.findall(
        r"(?m)^[A-Za-z0-9][^\\\n]*==[^\\\n]*", (ROOT / "requirements-dev.lock").read_text("utf-8")
    ):
        requirement = Requirement(line.strip())
        named.setdefault(canonicalize_name(requirement.name), set()).update(requirement.extras)
    installed = [found for name in named if (found := _distribution(name)) is not None]
    asked = [
        (found.name, wanted)
        for found in installed
        for wanted in map(Requirement, found.requires or ())
        if wanted.extras and (wanted.marker is None or wanted.marker.evaluate({"extra": ""}))
    ]
    assert asked
    assert [
        (name, str(wanted))
        for name, wanted in asked
        if not wanted.extras <= named[canonicalize_name(wanted.name)]
    ] == []


def _distribution(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None  # a pin for another platform or Python


def test_the_locks_agree_on_every_version_they_share() -> None:
    core = pins("requirements.lock")
    for other in LOCKS[1:]:
        pinned = pins(other)
        assert {name: pinned[name] for name in core.keys() & pinned.keys()} == {
            name: core[name] for name in core.keys() & pinned.keys()
        }
    assert core.keys() <= pins("requirements-dev.lock").keys()
