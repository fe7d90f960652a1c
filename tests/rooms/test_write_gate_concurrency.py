"""One approval, one effect: replayed, at once, on one target, frozen, or with a client that goes away."""

from __future__ import annotations

from typing import Any

import anyio
import httpx2
import pytest

from policies.approvals import MAX_OPEN_IN_RUN
from tests.rooms.peers import Peer, Said
from tests.rooms.stage import Room, until
from tests.rooms.wire import code_of, wired

CHANGE = "shop__change_item"


async def test_case_40_a_replay_is_told_what_happened_and_nothing_happens_again(
    room: Room, peer: Peer, item: str
) -> None:
    run = await peer.open("change")
    asked = await room.approved(peer, run, item_id=item, price=5)
    done = await peer.use(run, CHANGE, asked.token, item_id=item, price=5)
    frames = room.stage.frames()
    for _ in range(3):
        again = await peer.use(run, CHANGE, asked.token, item_id=item, price=5)
        assert (again.code, again.is_error) == ("approval_spent", True)
        assert again.body["execution"] == done.body["execution"]
        assert again.body["status"] == "succeeded"
    other = await peer.use(run, CHANGE, asked.token, item_id=item, price=6)
    assert other.code == "approval_mismatch"
    assert room.stage.frames() == frames
    assert len(room.stage.effects(item)) == 1


@pytest.mark.parametrize("connections", [1, 10])
async def test_case_41_fifty_spends_at_once_are_exactly_one_execution(
    room: Room, era: str, item: str, connections: int
) -> None:
    _, key = await room.agent()
    said: list[Said] = []

    async with room.peer(key, era) as first:
        run = await first.open("change")
        asked = await room.approved(first, run, item_id=item, price=5)

        async def spend(peer: Peer) -> None:
            said.append(await peer.use(run, CHANGE, asked.token, item_id=item, price=5))

        async def spend_often(times: int) -> None:
            async with room.peer(key, era) as peer, anyio.create_task_group() as tasks:
                for _ in range(times):
                    tasks.start_soon(spend, peer)

        async with anyio.create_task_group() as tasks:
            for _ in range(connections):
                tasks.start_soon(spend_often, 50 // connections)
    codes = sorted(one.code for one in said)
    assert codes == ["approval_spent"] * 49 + ["done"]
    assert len({one.body["execution"] for one in said}) == 1
    assert len(room.stage.effects(item)) == 1
    assert len(room.entries("execution.begun", run=run)) == 1


async def test_case_82_two_approvals_of_one_call_are_one_request_and_one_effect(
    room: Room, peer: Peer, item: str
) -> None:
    run = await peer.open("change")
    asked = await room.approved(peer, run, item_id=item, price=5)
    again = await room.approved(peer, run, item_id=item, price=5)
    await room.judge("remy", asked.approval["request"])
    assert again.token == asked.token
    codes = [(await peer.use(run, CHANGE, asked.token, item_id=item, price=5)).code for _ in range(2)]
    assert codes == ["done", "approval_spent"]
    assert len(room.stage.effects(item)) == 1


async def test_case_96_while_a_write_on_a_target_is_under_way_no_other_one_begins(
    room: Room, era: str, peer: Peer, item: str
) -> None:
    _, key = await room.agent()
    async with room.peer(key, era) as other:
        run, theirs = await peer.open("change"), await other.open("change")
        mine = await room.approved(peer, run, item_id=item, price=5)
        their = await room.approved(other, theirs, item_id=item, price=6)
        frames, room_told = room.stage.frames(), list[Said]()
        room.stage.tell_upstream("wait")

        async def write() -> None:
            room_told.append(await peer.use(run, CHANGE, mine.token, item_id=item, price=5))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            await until(lambda: room.stage.frames() == frames + 1)
            busy = await other.use(theirs, CHANGE, their.token, item_id=item, price=6)
            assert busy.code == "target_changed"
            spent = await peer.use(run, CHANGE, mine.token, item_id=item, price=5)
            assert (spent.code, spent.body["status"]) == ("approval_spent", "executing")
            room.stage.let_go()
        assert room_told[0].code == "done"
        room.stage.tell_upstream("")
        assert (await other.use(theirs, CHANGE, their.token, item_id=item, price=6)).code == "done"
    assert [effect["price"] for effect in room.stage.effects(item)] == [5, 6]


async def test_case_52_when_everything_is_frozen_nothing_begins_and_what_is_under_way_ends(
    room: Room, peer: Peer, item: str
) -> None:
    run = await peer.open("change")
    reading = await peer.open("repair")
    first = await room.approved(peer, run, item_id=item, price=5)
    queued = await room.approved(peer, run, item_id=f"{item}-b", price=5)
    frames, told = room.stage.frames(), list[Said]()
    room.stage.tell_upstream("wait")

    async def write() -> None:
        told.append(await peer.use(run, CHANGE, first.token, item_id=item, price=5))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write)
        await until(lambda: room.stage.frames() == frames + 1)
        await room.ask("olga", "freeze", reason="a drill")
        try:
            late = await peer.use(run, CHANGE, queued.token, item_id=f"{item}-b", price=5)
            without = await peer.use(run, CHANGE, item_id=f"{item}-b", price=5)
            read = await peer.use(reading, "shop__read_item")
            opened = await peer.call("open_run", workflow="change", input={"item_id": "i", "request": "r"})
            assert {said.code for said in (late, without, read, opened)} == {"frozen"}
            room.stage.let_go()
            await until(lambda: bool(told))
            assert told[0].code == "done"
        finally:
            await room.both("olga", "ada", "unfreeze")
    room.stage.tell_upstream("")
    assert room.stage.effects(f"{item}-b") == []
    assert (await peer.use(run, CHANGE, queued.token, item_id=f"{item}-b", price=5)).code == "done"


async def test_case_53_a_client_that_goes_away_mid_write_leaves_effect_and_outcome_whole(
    room: Room, peer: Peer, item: str
) -> None:
    run = await peer.open("change")
    asked = await room.approved(peer, run, item_id=item, price=5)
    frames = room.stage.frames()
    room.stage.tell_upstream("wait")
    with anyio.CancelScope() as gone:
        async with anyio.create_task_group() as tasks:

            async def write() -> None:
                await peer.use(run, CHANGE, asked.token, item_id=item, price=5)

            tasks.start_soon(write)
            await until(lambda: room.stage.frames() == frames + 1)
            gone.cancel()
    room.stage.let_go()
    await until(lambda: room.request(asked.approval["request"]).state == "succeeded")
    assert len(room.stage.effects(item)) == 1
    again = await peer.use(run, CHANGE, asked.token, item_id=item, price=5)
    assert (again.code, again.body["status"]) == ("approval_spent", "succeeded")


async def test_case_53_a_connection_that_breaks_mid_write_leaves_effect_and_outcome_whole(
    room: Room, era: str, item: str
) -> None:
    _, key = await room.agent()
    async with room.peer(key, era) as peer:
        run = await peer.open("change")
        asked = await room.approved(peer, run, item_id=item, price=5)
    frames = room.stage.frames()
    room.stage.tell_upstream("wait")
    body = f'{{"run_id": "{run}", "item_id": "{item}", "price": 5, "approval_token": "{asked.token}"}}'
    async with wired(f"{room.url}/change/act", key, era) as wire:
        wire.http.timeout = 0.1  # the socket is closed while the upstream still works
        with pytest.raises(httpx2.TimeoutException):
            await wire.call(CHANGE, body)
    await until(lambda: room.stage.frames() == frames + 1)
    room.stage.let_go()
    await until(lambda: room.request(asked.approval["request"]).state == "succeeded")
    assert len(room.stage.effects(item)) == 1


async def test_case_54_two_requests_with_one_id_in_flight_are_both_answered(
    room: Room, era: str, item: str
) -> None:
    _, key = await room.agent()
    async with room.peer(key, era) as peer:
        run = await peer.open("change")
        asked = await room.approved(peer, run, item_id=item, price=5)
    frames = room.stage.frames()
    room.stage.tell_upstream("wait")
    body = f'{{"run_id": "{run}", "item_id": "{item}", "price": 5, "approval_token": "{asked.token}"}}'
    answers: dict[str, Any] = {}
    async with wired(f"{room.url}/change/act", key, era) as wire:

        async def send(name: str, arguments: str, request_id: int | str) -> None:
            answers[f"{name} {request_id!r}"] = await wire.call(name, arguments, request_id=request_id)

        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send, CHANGE, body, 7)
                await until(lambda: room.stage.frames() == frames + 1)
                for request_id in (7, "7"):
                    await send("current_step", f'{{"run_id": "{run}"}}', request_id)
                room.stage.let_go()
            await send("see_approval", f'{{"run_id": "{run}"}}', 7)
    assert code_of(answers[f"{CHANGE} 7"]) == code_of(answers["see_approval 7"]) == "done"
    for other in ("current_step 7", "current_step '7'"):
        # Either its own answer, or an error that says so: never another request's answer.
        assert code_of(answers[other]) in ("done", "-32600")
        assert "execution" not in answers[other].text
    assert len(room.stage.effects(item)) == 1


async def test_case_105_an_agent_that_tries_and_tries_leaves_reviewers_a_bounded_page(
    room: Room, item: str
) -> None:
    name, key = await room.agent()
    async with room.peer(key) as peer:
        run = await peer.open("change")
        codes = [
            (await peer.use(run, CHANGE, item_id=f"{item}-{number % 25}", price=5)).code
            for number in range(50)
        ]
    # Each of the first twenty is asked for once, also when it is tried again; the others wait for those.
    assert codes == (["approval_required"] * MAX_OPEN_IN_RUN + ["rate_limited"] * 5) * 2
    listed: Any = await room.ask("rita", "approval.list")
    assert sum(one["agent"] == name for one in listed["approvals"]) == MAX_OPEN_IN_RUN
    assert room.stage.effects(f"{item}-0") == []
