"""Several servers on one ledger, each on a copy of the folder with its own upstream: one spends, once."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest
from sqlalchemy import create_engine, make_url

from ledger.ids import random_token
from tests.rooms.peers import Peer, Said, connected
from tests.rooms.processes import server_process
from tests.rooms.stage import Room, Stage, found_stage, served, until

CHANGE = "shop__change_item"
SPENDS = 100


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, on each engine."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'shared.sqlite3'}"
        return
    server: str = request.getfixturevalue("postgres_url")
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    name = random_token("test")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
        connection.exec_driver_sql(f"DROP DATABASE {name}")
    engine.dispose()


def copies(ledger_url: str, tmp_path: Path, count: int) -> list[Stage]:
    """A stage whose ledger lies at `ledger_url`, in so many folders."""
    first = found_stage(tmp_path / "data", ledger_url)
    found = [first]
    for number in range(1, count):
        root = tmp_path / f"copy-{number}"
        shutil.copytree(first.folder.root, root)
        found.append(first.moved(root))
    return found


@asynccontextmanager
async def two_rooms(ledger_url: str, tmp_path: Path) -> AsyncGenerator[tuple[Room, Stage]]:
    """A server, and the stage on which a second one can start."""
    first, second = copies(ledger_url, tmp_path, 2)
    async with served(first, ledger_url) as room:
        yield room, second


async def spend_at_once(urls: list[str], key: str, run: str, token: str, item: str) -> list[Said]:
    """Spend one approval a hundred times, spread over connections to all servers that are opened before."""
    said: list[Said] = []

    async def spend(peer: Peer) -> None:
        said.append(await peer.use(run, CHANGE, token, item_id=item, price=5))

    async with AsyncExitStack() as open_connections:
        peers = [await open_connections.enter_async_context(connected(url, key)) for url in urls]
        async with anyio.create_task_group() as tasks:
            for number in range(SPENDS):
                tasks.start_soon(spend, peers[number % len(peers)])
    return said


def is_one_execution(said: list[Said], stages: list[Stage], item: str) -> None:
    """One of the answers is `done`, all others name its execution, and the world changed once."""
    assert len(said) == SPENDS
    codes = Counter(one.code for one in said)
    assert codes == {"done": 1, "approval_spent": SPENDS - 1}
    assert len({one.body["execution"] for one in said}) == 1
    assert [len(stage.effects(item)) for stage in stages].count(1) == 1
    assert sum(stage.frames() for stage in stages) == 1


@pytest.mark.slow
async def test_case_41_a_hundred_spends_over_eight_processes_are_exactly_one_execution(
    tmp_path: Path, item: str
) -> None:
    url = f"sqlite:///{tmp_path / 'shared.sqlite3'}"
    stages = copies(url, tmp_path, 8)
    async with AsyncExitStack() as running:
        servers = [
            await running.enter_async_context(server_process(stage, ledger_url=url)) for stage in stages
        ]
        first, urls = servers[0], [server.url for server in servers]
        key = str((await first.ask("olga", "agent.add", agent="bot"))["key"])
        async with connected(first.url, key) as peer:
            run = await peer.open("change")
            asked = await peer.use(run, CHANGE, item_id=item, price=5)
            await first.judge("rita", asked.approval["request"])
        is_one_execution(await spend_at_once(urls, key, run, asked.token, item), stages, item)


async def test_case_42_a_hundred_spends_at_two_servers_are_exactly_one_execution(
    ledger_url: str, tmp_path: Path, item: str
) -> None:
    async with two_rooms(ledger_url, tmp_path) as (room, second), served(second, ledger_url) as other:
        _, key = await room.agent()
        async with room.peer(key) as peer:
            run = await peer.open("change")
            asked = await room.approved(peer, run, item_id=item, price=5)
        said = await spend_at_once([room.url, other.url], key, run, asked.token, item)
        is_one_execution(said, [room.stage, second], item)
        assert len(other.entries("execution.begun", run=run)) == 1
        assert other.house.ledger.verify().whole


async def test_case_94_a_second_server_that_starts_mid_execution_leaves_it_alone(
    ledger_url: str, tmp_path: Path, item: str
) -> None:
    async with two_rooms(ledger_url, tmp_path) as (room, second):
        _, key = await room.agent()
        told: list[Said] = []
        async with room.peer(key) as peer:
            run = await peer.open("change")
            asked = await room.approved(peer, run, item_id=item, price=5)
            spend = partial(peer.use, run, CHANGE, asked.token, item_id=item, price=5)
            room.stage.tell_upstream("wait")

            async def write() -> None:
                told.append(await spend())

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(write)
                await until(lambda: room.stage.frames() == 1)
                async with served(second, ledger_url) as other:
                    assert other.house.instance != room.house.instance
                    async with other.peer(key) as elsewhere:
                        said = await elsewhere.use(run, CHANGE, asked.token, item_id=item, price=5)
                    assert (said.code, said.body["status"]) == ("approval_spent", "executing")
                    told.append(said)
                    assert other.entries("execution.settled") == []
                assert room.entries("execution.settled") == []
                room.stage.let_go()
        assert [one.code for one in told] == ["approval_spent", "done"]
        assert told[0].body["execution"] == told[1].body["execution"]
        assert [one.body["state"] for one in room.entries("execution.settled")] == ["succeeded"]
    assert (room.stage.frames(), second.frames()) == (1, 0)
