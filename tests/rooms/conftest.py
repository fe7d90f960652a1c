"""The stage is founded once; a server runs on a copy of it for each module, or for each test that asks for one."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.rooms.peers import ERAS, Peer
from tests.rooms.stage import Room, Stage, found_stage, served


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


@pytest.fixture(params=ERAS)
def era(request: pytest.FixtureRequest) -> str:
    """Both eras of the protocol: `auto` is the modern one."""
    return str(request.param)


@pytest.fixture
async def peer(room: Room, era: str) -> AsyncGenerator[Peer]:
    """A connection of a new agent to the desk."""
    _, key = await room.agent()
    room.stage.tell_upstream("")
    async with room.peer(key, era) as peer:
        yield peer


@pytest.fixture
def item() -> str:
    """An item that no other test of this run acts on."""
    return f"item-{next(_items)}"


_items = itertools.count(1)
