"""What a caller may not use does not exist: the answer is the same bytes as for a name that nobody gave."""

from __future__ import annotations

import json

import pytest

from tests.rooms.peers import Peer
from tests.rooms.stage import Room
from tests.rooms.wire import Wire, wired

HIDDEN_FROM_READ = (
    "shop__change_own",  # the write of a later step
    "shop__find_item",  # a lookup of the next step
    "shop__erase_item",  # nobody classified it, so it is a hidden write
    "change_item",  # the upstream's own name
    "shop__nothing",  # invented
    "use_tool",  # of the desk, and not beside a step's tools
    "open_run",
    "propose_source",
    "x" * 200,
    "sh\u043ep__read_item",  # a Cyrillic look-alike
    "shop__read_item ",
)


async def answer_to(wire: Wire, name: str, arguments: str = "{}") -> bytes:
    """The bytes that answer a call of `name`, with the name itself and its headers left out."""
    params = await _params(wire, name, arguments)
    answer = await wire.post("tools/call", params, name=name, request_id=1)
    quoted = json.dumps(name)[1:-1].encode()
    raw = answer.content
    for spelling in (quoted, name.encode()):
        raw = raw.replace(b"Unknown tool: " + spelling + b'"', b'Unknown tool: NAME"')
    return str(answer.status_code).encode() + raw


@pytest.mark.parametrize("place", ["pass", "url"])
async def test_case_63_out_of_scope_hidden_and_invented_tools_are_one_answer_byte_for_byte(
    room: Room, era: str, place: str
) -> None:
    _, key = await room.agent()
    async with room.peer(key, era) as peer:
        run = await peer.open("repair")
        issued = await peer.call("current_step", run_id=run, with_pass=True)
    credential, url, named = str(issued.body["step_pass"]), room.url, {}
    if place == "url":
        credential, url, named = key, f"{room.url}/repair/read", {"run_id": run}
    arguments = json.dumps({**named, "item_id": "x", "price": 1, "approval_token": "apr_" + "0" * 26})
    logged = room.refused("unknown_tool")
    async with wired(url, credential, era) as wire:
        answers = {name: await answer_to(wire, name, arguments) for name in HIDDEN_FROM_READ}
    assert len(set(answers.values())) == 1, answers
    assert b"-32602" in answers["shop__nothing"]
    assert room.refused("unknown_tool") == logged + len(HIDDEN_FROM_READ)
    assert room.stage.frames() == room.stage.frames("erase_item") == 0


async def test_case_63_at_the_desk_use_tool_gives_one_answer_for_whatever_it_may_not_use(
    room: Room, peer: Peer, era: str
) -> None:
    run = await peer.open("repair")
    theirs = await _of_somebody_else(room, era)
    answers: set[str] = set()
    for name in HIDDEN_FROM_READ:
        if 0 < len(name) <= 128:
            answers.add((await peer.use(run, name, item_id="x", price=1)).text)
    for run_id in (theirs, "run_" + "0" * 26, "", "run", "run_" + "0" * 500):
        answers.add((await peer.use(run_id, "shop__read_item")).text)
        answers.add((await peer.call("current_step", run_id=run_id)).text)
        answers.add((await peer.call("read_context", run_id=run_id)).text)
        answers.add((await peer.call("see_approval", run_id=run_id)).text)
        answers.add((await peer.submit(run_id, "read")).text)
    answers.add((await peer.call("cite", run_id=run, source="nothing@1:0-5")).text)
    assert len(answers) == 1, answers
    assert json.loads(answers.pop())["code"] == "unknown_tool"


async def test_a_steps_own_tool_called_by_name_at_the_desk_is_unknown_there(room: Room, peer: Peer) -> None:
    run = await peer.open("repair")
    said = await peer.call("shop__read_item", run_id=run)
    assert said.error == (-32602, "Unknown tool: shop__read_item")
    assert (await peer.use(run, "shop__read_item")).code == "done"


@pytest.mark.parametrize("name", HIDDEN_FROM_READ)
async def test_at_a_url_a_call_that_names_no_run_says_so_whatever_tool_it_is_of(
    room: Room, era: str, name: str
) -> None:
    _, key = await room.agent()
    async with wired(f"{room.url}/repair/read", key, era) as wire:
        real = await answer_to(wire, "shop__read_item")
        assert b"run_id" in real
        assert await answer_to(wire, name) == real


MONSTERS = {
    "a lone surrogate": "\\ud800",
    "huge": "x" * 100_000,
    "NUL": "\\u0000",
    "right to left": "\\u202e",
}


@pytest.mark.parametrize("name", MONSTERS.values(), ids=MONSTERS)
async def test_a_monstrous_tool_name_is_answered_like_any_other(
    room: Room, peer: Peer, era: str, name: str
) -> None:
    run = await peer.open("change")
    issued = await peer.call("current_step", run_id=run, with_pass=True)
    async with wired(room.url, str(issued.body["step_pass"]), era) as wire:
        meta = json.dumps(wire.meta()).encode()
        params = b'{"name": "' + name.encode() + b'", "arguments": {}, "_meta": ' + meta + b"}"
        # What no header can hold, the modern era and the web server refuse by themselves.
        header = "x" if "ud800" in name else json.loads(f'"{name}"')
        answer = await wire.post("tools/call", params, name=header)
        assert answer.status_code in (200, 400)
        assert "Traceback" not in answer.text
        if not answer.headers["content-type"].startswith("text/plain"):
            assert answer.json()["error"]["code"] in (-32602, -32700, -32020)
    assert all(len(str(entry.body["act"])) <= 128 for entry in room.entries("call.refused", run=run))


async def _of_somebody_else(room: Room, era: str) -> str:
    _, key = await room.agent()
    async with room.peer(key, era) as other:
        return await other.open("repair")


async def _params(wire: Wire, name: str, arguments: str) -> bytes:
    meta = json.dumps(wire.meta())
    return f'{{"name": {json.dumps(name)}, "arguments": {arguments}, "_meta": {meta}}}'.encode()
