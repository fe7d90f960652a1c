"""Runs are paused, handed over, claimed and sent back by people; what was issued before is dead, and whoever
picks a run up goes on where it stands.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import pytest

from server.errors import BadInput
from server.sending import OperationFailed
from tests.rooms.peers import Peer
from tests.rooms.stage import Room

LOOK = "shop__read_item"
WRITE = "shop__change_own"


@dataclass(frozen=True, slots=True)
class Two:
    """Two agents of olga's, each with a connection."""

    one: Peer
    other: Peer
    first: str
    second: str


@pytest.fixture
async def two(room: Room, era: str) -> AsyncGenerator[Two]:
    (first, key), (second, other_key) = await room.agent(), await room.agent()
    async with room.peer(key, era) as one, room.peer(other_key, era) as other:
        yield Two(one, other, first, second)


async def in_execute(peer: Peer, item: str) -> str:
    """A run of `repair` that has come to its last step."""
    run = await peer.open("repair", item=item)
    for step in ("read", "classify", "plan", "draft"):
        assert (await peer.submit(run, step)).code == "done"
    return run


async def refused(room: Room, person: str, operation: str, /, **args: Any) -> str:
    """The sentence that a person is refused with."""
    with pytest.raises((OperationFailed, BadInput)) as said:
        await room.ask(person, operation, **args)
    return str(said.value)


async def test_cases_9_10_64_a_hand_over_kills_what_was_issued_and_the_other_agent_goes_on(
    room: Room, two: Two, era: str, item: str
) -> None:
    run = await in_execute(two.one, item)
    allowed = await room.approved(two.one, run, WRITE, price=7)
    issued = await two.one.call("current_step", run_id=run, with_pass=True)
    handed = await room.ask("olga", "run.hand_over", run=run, agent=two.second, note="on holiday")
    assert (handed["status"], handed["step"]) == ("open", "execute")
    # To the first agent it is as if it had never been; its approval opens nothing for the second one either.
    assert (await two.one.use(run, WRITE, allowed.token, price=7)).code == "unknown_tool"
    assert (await two.one.call("current_step", run_id=run)).code == "unknown_tool"
    assert (await two.other.use(run, WRITE, allowed.token, price=7)).code == "approval_required"
    async with room.peer(str(issued.body["step_pass"]), era) as stale:
        assert await stale.names() == []
        assert (await stale.call("current_step")).code in ("step_closed", "unknown_tool")
    assert room.stage.effects(item) == []
    # Structured state is what it finds, and it ends the run.
    told = await two.other.call("current_step", run_id=run)
    assert told.body["state"]["finding"] == "as it should be"
    assert told.body["epoch"] == issued.body["epoch"] + 1
    again = await room.approved(two.other, run, WRITE, price=7)
    assert (await two.other.use(run, WRITE, again.token, price=7)).code == "done"
    assert (await two.other.submit(run, "execute")).body["status"] == "done"
    assert len(room.stage.effects(item)) == 1
    (entry,) = room.entries("run.handed_over", run=run)
    assert (entry.principal, entry.body["from"], entry.body["to"]) == ("olga", two.first, two.second)


async def test_an_openers_key_still_finds_a_run_that_was_handed_over_and_tells_nothing_of_it(
    room: Room, two: Two
) -> None:
    given = {"item_id": "i-1", "request": "x"}
    mine = await two.one.call("open_run", workflow="repair", input=given, idempotency_key="k")
    theirs = await two.other.call("open_run", workflow="repair", input=given, idempotency_key="k")
    run = mine.body["run"]
    assert theirs.body["run"] != run
    await room.ask("olga", "run.hand_over", run=run, agent=two.second)
    again = await two.one.call("open_run", workflow="repair", input=given, idempotency_key="k")
    assert again.body == {"code": "done", "run": run, "status": "open"}
    assert (await two.other.call("current_step", run_id=run)).body["step"] == "read"


async def test_while_a_run_is_paused_nothing_is_done_in_it(room: Room, two: Two, era: str, item: str) -> None:
    run = await in_execute(two.one, item)
    allowed = await room.approved(two.one, run, WRITE, price=7)
    issued = await two.one.call("current_step", run_id=run, with_pass=True)
    assert (await room.ask("olga", "run.pause", run=run, note="wait"))["status"] == "paused"
    for said in (
        await two.one.use(run, WRITE, allowed.token, price=7),
        await two.one.call("read_context", run_id=run),
        await two.one.call("see_approval", run_id=run),
        await two.one.submit(run, "execute"),
        await two.one.call("current_step", run_id=run, with_pass=True),
    ):
        assert said.code == "checkpoint_open"
    assert (await two.one.call("current_step", run_id=run)).body["status"] == "paused"
    assert run in str(await room.ask("rita", "run.list"))
    assert "only an open run" in await refused(room, "olga", "run.pause", run=run)
    assert (await room.ask("rita", "run.resume", run=run))["status"] == "open"
    assert "only a paused run" in await refused(room, "olga", "run.resume", run=run)
    # Approvals and passes of before the pause are of another epoch.
    assert (await two.one.use(run, WRITE, allowed.token, price=7)).code == "step_closed"
    async with room.peer(str(issued.body["step_pass"]), era) as stale:
        assert (await stale.call("current_step")).code == "step_closed"
    assert room.stage.effects(item) == []


async def test_a_run_is_sent_back_with_a_note_that_its_agent_reads(room: Room, two: Two) -> None:
    run = await two.one.open("repair")
    await two.one.submit(run, "read")
    await two.one.submit(run, "classify", confidence=0.1)
    assert "resolve it" in await refused(room, "rita", "run.send_back", run=run)
    back = await room.ask(
        "rita", "run.resolve", run=run, resolution="send_back", to="read", note="Read the label."
    )
    assert (back["step"], back["status"]) == ("read", "open")
    told = await two.one.call("current_step", run_id=run)
    assert told.body["sent_back_because"] == "Read the label."
    await two.one.submit(run, "read")
    told = await two.one.call("current_step", run_id=run)
    assert (told.body["step"], "sent_back_because" in told.body) == ("classify", False)
    assert (await room.ask("olga", "run.send_back", run=run, to="read", note="Again."))["step"] == "read"
    assert "has not been in a step plan" in await refused(room, "olga", "run.send_back", run=run, to="plan")
    assert "has not been in a step nothing" in await refused(
        room, "olga", "run.send_back", run=run, to="nothing"
    )


async def test_who_may_move_a_run(room: Room, two: Two) -> None:
    run = await two.one.open("repair")
    theirs, _ = await room.agent(tenant="other")
    wrong: list[tuple[str, str, dict[str, Any], str]] = [
        ("orla", "run.pause", {}, "There is no run"),
        ("orla", "run.claim", {"agent": theirs}, "There is no run"),
        ("rita", "run.hand_over", {"agent": two.second}, "neither owns"),
        ("rita", "run.claim", {"agent": two.second}, "does not own"),
        ("olga", "run.hand_over", {"agent": theirs}, "There is no agent"),
        ("olga", "run.hand_over", {"agent": two.first}, "already held"),
        ("olga", "run.hand_over", {"agent": "nobody"}, "There is no agent nobody"),
    ]
    for person, operation, args, told in wrong:
        assert told in await refused(room, person, operation, run=run, **args)
    assert (await room.ask("olga", "run.claim", run=run, agent=two.second))["agent"] == two.second
    assert (await two.other.call("current_step", run_id=run)).body["step"] == "read"
    await two.other.submit(run, "read", confidence=0.1)
    assert "waits at a checkpoint" in await refused(room, "olga", "run.hand_over", run=run, agent=two.first)
    await room.ask("rita", "run.resolve", run=run, resolution="stop")
    assert "already ended" in await refused(room, "olga", "run.hand_over", run=run, agent=two.first)


async def test_a_run_that_may_have_read_under_a_label_goes_to_no_agent_without_it(
    room: Room, two: Two
) -> None:
    await room.ask("ada", "agent.labels", agent=two.first, labels=["board"])
    run = await two.one.open("labelled")
    assert "does not hold the label board" in await refused(
        room, "olga", "run.hand_over", run=run, agent=two.second
    )
    await room.ask("ada", "agent.labels", agent=two.second, labels=["board"])
    assert (await room.ask("olga", "run.hand_over", run=run, agent=two.second))["status"] == "open"
