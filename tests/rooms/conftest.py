"""The stage is founded once; a server runs on a copy of it for each module, or for a test that starts one."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import AsyncGenerator
from importlib.util import find_spec
from pathlib import Path

import pytest

from server import app, assembly, identity_check
from tests.rooms.clock import Clock
from tests.rooms.peers import ERAS, Peer
from tests.rooms.stage import Room, Stage, found_stage, served


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """The event loop that the server itself runs on."""
    return "asyncio", {"use_uvloop": find_spec("uvloop") is not None}


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The stage that others are copies of."""
    return found_stage(tmp_path_factory.mktemp("founded") / "data")


@pytest.fixture(scope="module")
async def room(founded: Stage, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Room]:
    """A server that the tests of one module share. They leave the folder's people and files alone."""
    root = tmp_path_factory.mktemp("room") / "data"
    shutil.copytree(founded.folder.root, root)
    async with served(founded.moved(root)) as room:
        yield room


@pytest.fixture
def stage(founded: Stage, tmp_path: Path) -> Stage:
    """A stage of a test's own, on which it starts servers itself."""
    shutil.copytree(founded.folder.root, tmp_path / "data")
    return founded.moved(tmp_path / "data")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that the test moves, for the servers that it starts from now on."""
    clock = Clock()
    monkeypatch.setattr(assembly, "open_ledger", clock.open_ledger)
    for module in (app, identity_check):
        monkeypatch.setattr(module, "system_now_ms", clock.now_ms)
    return clock


@pytest.fixture(scope="module", params=ERAS)
def era(request: pytest.FixtureRequest) -> str:
    """Both eras of the protocol: `auto` is the modern one."""
    return str(request.param)


@pytest.fixture(scope="module")
async def peer(room: Room, era: str) -> AsyncGenerator[Peer]:
    """A connection of an agent to the desk; the tests of one module share it, each with runs of its own."""
    _, key = await room.agent()
    async with room.peer(key, era) as peer:
        yield peer


@pytest.fixture
def item() -> str:
    """An item that no other test of this run acts on."""
    return f"item-{next(_items)}"


_items = itertools.count(1)


@pytest.fixture(autouse=True)
def behaving(request: pytest.FixtureRequest) -> None:
    """At the start of each test the upstream does what it should."""
    if "room" in request.fixturenames:
        room: Room = request.getfixturevalue("room")
        room.stage.tell_upstream("")
