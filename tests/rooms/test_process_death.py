"""Death: a server killed in the middle of a write leaves an execution in doubt, and nobody runs it again."""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from server import app
from tests.rooms.clock import Clock
from tests.rooms.peers import ERAS, Said, connected
from tests.rooms.processes import Served, server_process
from tests.rooms.stage import Room, Stage, served, until

CHANGE = "shop__change_item"


async def approved_writes(at: Served) -> tuple[str, dict[str, str], dict[str, Said]]:
    """The key of a new agent, and a run of it with an approved write, for each era."""
    key = str((await at.ask("olga", "agent.add", agent="bot"))["key"])
    runs, asked = dict[str, str](), dict[str, Said]()
    for era in ERAS:
        async with connected(at.url, key, era) as peer:
            runs[era] = await peer.open("change")
            asked[era] = await peer.use(runs[era], CHANGE, item_id=era, price=5)
            await at.judge("rita", asked[era].approval["request"])
    return key, runs, asked


async def write(url: str, key: str, run: str, era: str, token: str, *, may_break: bool = True) -> Said | None:
    """Make the approved write; None when the connection broke."""
    try:
        async with connected(url, key, era) as peer:
            return await peer.use(run, CHANGE, token, item_id=era, price=5)
    except Exception:
        if not may_break:
            raise
        return None


@pytest.mark.parametrize(
    ("behaviour", "effects"),
    [("hang_before", 0), ("hang_after", 1)],
    ids=["case_49_before_the_effect", "case_50_after_the_effect"],
)
async def test_killed_in_a_write_it_stays_in_doubt_with_its_target_blocked_and_is_never_run_again(
    stage: Stage, clock: Clock, monkeypatch: pytest.MonkeyPatch, behaviour: str, effects: int
) -> None:
    async with server_process(stage) as at:
        key, runs, asked = await approved_writes(at)
        stage.tell_upstream(behaviour)
        async with anyio.create_task_group() as tasks:
            for era in ERAS:
                tasks.start_soon(write, at.url, key, runs[era], era, asked[era].token)
            await until(lambda: stage.frames() == 2)
            at.process.kill()
        assert await at.process.wait() != 0
    stage.tell_upstream("")
    monkeypatch.setattr(app, "UPKEEP_INTERVAL_S", 0.02)

    async with served(stage) as room:
        # Its lease still runs: for all that anybody knows, another server is at work on it.
        await nothing_moves(room, key, runs, asked, "executing")
        clock.ahead_ms = 60_000
        await until(lambda: len(room.entries("execution.settled")) == 2)
        await nothing_moves(room, key, runs, asked, "in_doubt")
        assert [entry.body["state"] for entry in room.entries("execution.settled")] == ["in_doubt"] * 2
    async with served(stage) as room:
        await nothing_moves(room, key, runs, asked, "in_doubt")
        assert room.house.ledger.verify().whole
    assert stage.frames() == 2
    assert [len(stage.effects(era)) for era in ERAS] == [effects, effects]


async def nothing_moves(
    room: Room, key: str, runs: dict[str, str], asked: dict[str, Said], status: str
) -> None:
    """The approval is spent, its client is told how it stands, the target takes no other write (case 96)."""
    for era in ERAS:
        said = await write(room.url, key, runs[era], era, asked[era].token, may_break=False)
        assert said is not None
        assert (said.code, said.body["status"]) == ("approval_spent", status)
        async with connected(room.url, key, era) as peer:
            rival = await peer.use(runs[era], CHANGE, item_id=era, price=6)
            if room.request(rival.approval["request"]).state == "pending":
                await room.judge("rita", rival.approval["request"])
            second = await peer.use(runs[era], CHANGE, rival.token, item_id=era, price=6)
            assert second.code == "target_changed"


async def test_case_104_killed_just_after_an_answer_its_receipt_is_there(stage: Stage) -> None:
    async with server_process(stage) as at:
        key = str((await at.ask("olga", "agent.add", agent="bot"))["key"])
        async with connected(at.url, key) as peer:
            run = await peer.open("repair")
            observed = await peer.use(run, "shop__read_item")
            bundle = await peer.call("read_context", run_id=run)
            at.process.kill()
            await at.process.wait()
    async with served(stage) as room:
        (answered,) = room.entries("call.answered", run=run)
        assert answered.body["observation"] == observed.observation
        (shown,) = room.entries("bundle.served", run=run)
        assert shown.body["bundle"] == bundle.body["bundle"]
        async with connected(room.url, key) as peer:
            assert (await peer.call("cite", run_id=run, source=observed.observation)).code == "done"


async def test_asked_to_stop_it_finishes_the_write_that_is_under_way(stage: Stage) -> None:
    async with server_process(stage) as at:
        key, runs, asked = await approved_writes(at)
        stage.tell_upstream("wait")
        async with anyio.create_task_group() as tasks:
            for era in ERAS:
                tasks.start_soon(partial(write, at.url, key, runs[era], era, asked[era].token))
            await until(lambda: stage.frames() == 2)
            at.process.terminate()
            stage.let_go()
        assert await at.process.wait() == 0
    async with served(stage) as room:
        assert [entry.body["state"] for entry in room.entries("execution.settled")] == ["succeeded"] * 2
    assert len(stage.effects()) == 2
