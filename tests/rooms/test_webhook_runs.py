"""Signed webhooks open runs: once for each delivery, and for nobody without the secret."""

from __future__ import annotations

import json
from typing import Any, cast

import httpx2
import pytest

from ledger.clock import system_now_ms
from tests.rooms.peers import plain_http
from tests.rooms.stage import Room, Stage, served
from tool_scopes.webhooks import key_of, new_secret, signature

INPUT = {"item_id": "i-1", "request": "When may the price of an item be changed?"}
EVENT: dict[str, Any] = {"type": "item.asked", "timestamp": "2026-11-25T09:00:00Z", "data": INPUT}


async def deliver(
    room: Room,
    secret: str,
    payload: object = EVENT,
    *,
    to: str = "tickets",
    delivery: str = "msg_1",
    late_s: int = 0,
) -> httpx2.Response:
    """Send a payload, signed with a secret, as a sender does."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    stamp = str(system_now_ms() // 1_000 - late_s)
    headers = {
        "webhook-id": delivery,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{signature(key_of(secret), delivery, stamp, body)}",
        "content-type": "application/json",
    }
    async with plain_http("") as http:
        del http.headers["authorization"]
        return await http.post(room.url.removesuffix("/mcp") + f"/hooks/{to}", content=body, headers=headers)


async def trigger(room: Room, name: str, **more: Any) -> tuple[str, str]:
    """A trigger of a new agent: the agent's key, and the trigger's secret."""
    agent, key = await room.agent()
    made = await room.ask("ada", "trigger.add", trigger=name, workflow="change", agent=agent, **more)
    return key, str(made["secret"])


async def test_a_signed_delivery_opens_a_run_that_its_agent_carries_out(room: Room) -> None:
    key, secret = await trigger(room, "tickets")
    said = await deliver(room, secret)
    assert said.status_code == 200
    run = said.json()["run"]
    again = await deliver(room, secret)
    assert again.json() == said.json()
    (opened,) = room.entries("run.opened", run=run)
    assert str(opened.body["trigger"]).startswith("webhook:trg_")
    async with room.peer(key) as peer:
        told = await peer.call("current_step", run_id=run)
    assert (told.body["step"], told.body["state"]) == ("act", INPUT)


async def test_one_delivery_with_another_payload_is_refused_and_another_delivery_is_another_run(
    room: Room,
) -> None:
    _, secret = await trigger(room, "orders")
    first = await deliver(room, secret, to="orders")
    other = {**EVENT, "data": {**INPUT, "item_id": "i-2"}}
    clash = await deliver(room, secret, other, to="orders")
    assert clash.status_code == 422
    assert "another input" in clash.json()["message"]
    second = await deliver(room, secret, to="orders", delivery="msg_2")
    assert second.json()["run"] != first.json()["run"]


async def test_what_the_run_needs_is_taken_from_where_the_payload_has_it(room: Room) -> None:
    takes = {"item_id": "/data/items/0/id", "request": "/data/text"}
    key, secret = await trigger(room, "shaped", takes=takes, event="item.asked")
    payload = {"type": "item.asked", "data": {"items": [{"id": "i-9"}], "text": "Change it."}}
    said = await deliver(room, secret, payload, to="shaped")
    async with room.peer(key) as peer:
        told = await peer.call("current_step", run_id=said.json()["run"])
    assert told.body["state"] == {"item_id": "i-9", "request": "Change it."}
    ignored = await deliver(room, secret, {**payload, "type": "item.sold"}, to="shaped", delivery="msg_2")
    assert (ignored.status_code, ignored.json()) == (200, {"ignored": "type"})
    lacking = await deliver(room, secret, {"type": "item.asked"}, to="shaped", delivery="msg_3")
    assert (lacking.status_code, lacking.json()["message"]) == (
        422,
        "The payload has nothing at /data/items/0/id.",
    )


@pytest.mark.parametrize(
    ("payload", "status"), [(b"[]", 400), (b"no JSON", 400), (b'{"data": 1}', 422), (b"x" * 65_537, 413)]
)
async def test_a_payload_that_opens_nothing_says_why(room: Room, payload: bytes, status: int) -> None:
    _, secret = await trigger(room, f"odd-{status}-{len(payload)}")
    opened = len(room.entries("run.opened"))
    said = await deliver(room, secret, payload, to=f"odd-{status}-{len(payload)}")
    assert said.status_code == status
    assert said.json()["message"].endswith(".")
    assert len(room.entries("run.opened")) == opened


async def test_without_the_secret_every_trigger_is_one_answer_and_leaves_no_entry(room: Room) -> None:
    _, secret = await trigger(room, "quiet")
    entries = len(list(room.house.ledger.entries()))
    answers = [
        await deliver(room, new_secret(), to="quiet"),
        await deliver(room, new_secret(), to="nobody"),
        await deliver(room, secret, to="nobody"),
        await deliver(room, secret, to="quiet", late_s=400),
    ]
    assert {one.status_code for one in answers} == {401}
    assert len({one.content for one in answers}) == 1
    assert len(list(room.house.ledger.entries())) == entries


async def test_a_new_secret_takes_over_with_an_overlap_and_one_without_ends_the_old(room: Room) -> None:
    _, first = await trigger(room, "turning")
    rotated = await room.ask("ada", "trigger.rotate", trigger="turning", overlap_hours=1)
    second = str(rotated["secret"])
    assert [(await deliver(room, one, to="turning")).status_code for one in (first, second)] == [200, 200]
    third = new_secret()
    brought = await room.ask("ada", "trigger.rotate", trigger="turning", overlap_hours=0, secret=third)
    assert brought["secret"] is None
    codes = [(await deliver(room, one, to="turning")).status_code for one in (first, second, third)]
    assert codes == [401, 401, 200]
    (listed,) = [
        one
        for one in cast("list[dict[str, Any]]", (await room.ask("rita", "trigger.list"))["triggers"])
        if one["trigger"] == "turning"
    ]
    assert len(listed["secrets"]) == 1
    await room.ask("ada", "trigger.remove", trigger="turning")
    assert (await deliver(room, third, to="turning")).status_code == 401


async def test_no_secret_stands_in_the_log_or_in_the_database(room: Room) -> None:
    _, secret = await trigger(room, "hidden")
    brought = new_secret()
    await room.ask("ada", "trigger.rotate", trigger="hidden", secret=brought)
    logged = json.dumps([entry.body for entry in room.house.ledger.entries()])
    files = b"".join(path.read_bytes() for path in room.stage.folder.root.rglob("*") if path.is_file())
    for one in (secret, brought):
        assert one.removeprefix("whsec_") not in logged
        assert one.removeprefix("whsec_").encode() not in files
        assert key_of(one) not in files


async def test_only_admins_make_triggers_and_only_for_what_there_is(room: Room) -> None:
    agent, _ = await room.agent()
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("rita", {}, "may not do trigger.add"),
        ("orla", {}, "There is no agent"),
        ("ada", {"workflow": "nothing"}, "There is no workflow nothing"),
        ("ada", {"takes": {"item_id": "data"}}, "JSON Pointer"),
        ("ada", {"takes": {"nobody": "/x"}}, "knows no nobody"),
        ("ada", {"secret": "whsec_x"}, "The secret cannot be used"),
        ("ada", {"trigger": "No Name"}, "cannot name a trigger"),
    ]
    for person, changes, told in wrong:
        args = {"trigger": "mine", "workflow": "change", "agent": agent, **changes}
        with pytest.raises(Exception, match=told):
            await room.ask(person, "trigger.add", **args)


async def test_while_all_is_frozen_a_sender_is_told_to_come_again(stage: Stage) -> None:
    async with served(stage) as room:
        _, secret = await trigger(room, "tickets")
        await room.ask("ada", "freeze", reason="inventory")
        said = await deliver(room, secret)
        assert (said.status_code, said.headers["retry-after"]) == (503, "60")
        assert said.json()["error"] == "frozen"
        assert room.entries("run.opened") == []
