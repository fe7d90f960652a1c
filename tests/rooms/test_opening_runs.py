"""Opening runs: one key and one input are one run, however often and from wherever they are sent."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest

from tests.rooms.peers import Peer, Said
from tests.rooms.stage import Room

INPUT = {"item_id": "i-1", "request": "When may the price of an item be changed?"}


@pytest.fixture
async def peer(room: Room, era: str) -> AsyncGenerator[Peer]:
    """A new agent each time, because a key is the agent's own."""
    _, key = await room.agent()
    async with room.peer(key, era) as peer:
        yield peer


async def open_run(peer: Peer, **changes: Any) -> Said:
    return await peer.call("open_run", **{"workflow": "change", "input": INPUT, **changes})


async def test_the_same_key_and_input_give_the_same_run_and_the_same_answer(room: Room, peer: Peer) -> None:
    first = await open_run(peer, idempotency_key="k")
    again = await open_run(peer, idempotency_key="k", input=dict(reversed(INPUT.items())))
    assert first.code == "done"
    assert again.body == first.body
    assert len(room.entries("run.opened", run=str(first.body["run"]))) == 1


async def test_a_key_finds_its_run_again_also_when_it_has_moved_on_or_ended(peer: Peer) -> None:
    run = (await open_run(peer, idempotency_key="k")).body["run"]
    await peer.submit(run, "act", "again")
    moved = await open_run(peer, idempotency_key="k")
    assert (moved.body["run"], moved.body["current_step"]["step"]) == (run, "again")
    await peer.submit(run, "again")
    ended = await open_run(peer, idempotency_key="k")
    assert ended.body == {"code": "done", "run": run, "status": "done"}


async def test_without_a_key_each_opening_is_a_run_of_its_own(peer: Peer) -> None:
    assert (await open_run(peer)).body["run"] != (await open_run(peer)).body["run"]


async def test_twenty_openings_with_one_key_at_once_are_one_run(room: Room, peer: Peer) -> None:
    said: list[Said] = []

    async def once() -> None:
        said.append(await open_run(peer, idempotency_key="together"))

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(once)
    assert len({one.text for one in said}) == 1
    assert len(room.entries("run.opened", run=str(said[0].body["run"]))) == 1


async def test_a_key_with_another_input_is_refused_and_opens_nothing(room: Room, peer: Peer) -> None:
    await open_run(peer, idempotency_key="k")
    opened = len(room.entries("run.opened"))
    other = await open_run(peer, idempotency_key="k", input={**INPUT, "item_id": "i-2"})
    assert other.code == "invalid_arguments"
    assert "key" in other.body["why"]
    assert len(room.entries("run.opened")) == opened


async def test_one_key_names_a_run_for_each_workflow(peer: Peer) -> None:
    one = await open_run(peer, idempotency_key="k")
    two = await open_run(peer, idempotency_key="k", workflow="repair")
    assert two.code == "done"
    assert one.body["run"] != two.body["run"]


@pytest.mark.parametrize("tenant", ["acme", "other"])
async def test_case_97_another_agents_or_tenants_key_opens_a_run_of_its_own(
    room: Room, peer: Peer, era: str, tenant: str
) -> None:
    run = (await open_run(peer, idempotency_key="k")).body["run"]
    _, key = await room.agent(tenant=tenant)
    async with room.peer(key, era) as other:
        theirs = await open_run(other, idempotency_key="k")
        assert theirs.code == "done"
        assert theirs.body["run"] != run
        # Nor does another input tell that somebody used the key.
        assert (await open_run(other, idempotency_key="k2", input={**INPUT, "item_id": "x"})).code == "done"


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown workflow": (
        {"workflow": "nothing"},
        "there is: big, change, curated, double, guarded, held, labelled, repair, sealed",
    ),
    "a workflow's file name": ({"workflow": "../change"}, "there is no workflow"),
    "no text as workflow": ({"workflow": 7}, "workflow"),
    "no input": ({"input": None}, "input"),
    "a text as input": ({"input": "i-1"}, "input"),
    "a missing key": ({"input": {"item_id": "i-1"}}, "request"),
    "a key too many": ({"input": {**INPUT, "role": "admin"}}, "role"),
    "a wrong type": ({"input": {**INPUT, "item_id": 7}}, "input.item_id"),
    "an empty key": ({"idempotency_key": ""}, "idempotency_key"),
    "a long key": ({"idempotency_key": "k" * 201}, "idempotency_key"),
    "a key that is a number": ({"idempotency_key": 7}, "idempotency_key"),
    "an argument too many": ({"owner": "rita"}, "owner"),
}


@pytest.mark.parametrize(("changes", "told"), WRONG.values(), ids=WRONG)
async def test_what_cannot_be_opened_is_refused_in_one_sentence(
    room: Room, peer: Peer, changes: dict[str, Any], told: str
) -> None:
    opened, refused = len(room.entries("run.opened")), room.refused("invalid_arguments")
    said = await open_run(peer, **changes)
    assert (said.code, said.is_error) == ("invalid_arguments", True)
    assert told in said.body["why"]
    assert len(room.entries("run.opened")) == opened
    assert room.refused("invalid_arguments") == refused + 1


async def test_two_runs_of_one_agent_step_by_step_do_not_touch_each_other(peer: Peer) -> None:
    one, two = await peer.open("change"), await peer.open("change")
    await peer.submit(one, "act", "again")
    assert (await peer.call("current_step", run_id=one)).body["step"] == "again"
    assert (await peer.call("current_step", run_id=two)).body["step"] == "act"
