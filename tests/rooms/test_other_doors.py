"""Tools, resources, prompts, completions and subscriptions are all the doors that there are: whatever else
MCP has for reading, asking or listening leads nowhere, for anybody.
"""

from __future__ import annotations

import json

import pytest

from server.gateway import INSTRUCTIONS
from tests.rooms.peers import ERAS
from tests.rooms.stage import Room
from tests.rooms.wire import Wire, wired

DOORS = (
    "logging/setLevel",
    "tasks/list",
    "tasks/get",
    "tasks/result",
    "sampling/createMessage",
    "elicitation/create",
    "roots/list",
    "bailiwick/anything",
)


async def asked(wire: Wire, method: str, name: str) -> tuple[int, bytes]:
    """The answer to a method about something of that name: its status and its bytes, without the method."""
    params = {
        "_meta": wire.meta(),
        "uri": name,
        "name": name,
        "taskId": name,
        "ref": {"type": "ref/resource", "uri": name},
        "argument": {"name": "run_id", "value": "run_"},
        "notifications": {"toolsListChanged": True, "resourceSubscriptions": [name]},
        "level": "debug",
    }
    answer = await wire.post(method, json.dumps(params).encode(), request_id=1)
    return answer.status_code, answer.content.replace(method.encode(), b"METHOD")


@pytest.mark.parametrize("place", ["desk", "pass", "url"])
async def test_case_69_other_methods_lead_nowhere_for_anybody(room: Room, era: str, place: str) -> None:
    _, key = await room.agent()
    async with room.peer(key, era) as peer:
        run = await peer.open("repair")
        observed = (await peer.use(run, "shop__read_item")).observation
        issued = await peer.call("current_step", run_id=run, with_pass=True)
    url = f"{room.url}/repair/read" if place == "url" else room.url
    answers: set[tuple[int, bytes]] = set()
    async with wired(url, str(issued.body["step_pass"]) if place == "pass" else key, era) as wire:
        for method in DOORS:
            for name in ("prices@1", observed, run, "shop__change_own"):
                answers.add(await asked(wire, method, name))
    assert len(answers) == 1, answers
    ((_, said),) = answers
    assert b'"code":-32601' in said
    assert run.encode() not in said


@pytest.mark.parametrize("era", ERAS)
async def test_case_69_what_is_declared_is_what_there_is_in_both_eras(room: Room, era: str) -> None:
    _, key = await room.agent()
    async with room.peer(key, era) as peer:
        declared = peer.client.server_capabilities.model_dump(exclude_none=True)
        told = peer.client.instructions or ""
    assert declared == {
        "completions": {},
        "prompts": {"list_changed": True},
        "resources": {"list_changed": True, "subscribe": True},
        "tools": {"list_changed": True},
    }
    assert told == INSTRUCTIONS
    # What teaches a model to work here is short: by the usual four letters to a token, within 160.
    assert len(told) <= 640
