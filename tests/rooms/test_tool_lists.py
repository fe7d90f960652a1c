"""Tool lists: a function of the credential, the URL and the ledger, the same each time."""

from __future__ import annotations

from typing import Any

from mcp_types import Tool

from server.desk import DESK
from tests.rooms.peers import Peer
from tests.rooms.stage import Room
from tests.rooms.wire import wired
from tool_scopes.passes import issue_pass
from tool_scopes.runs import find_run

BESIDE = ["current_step", "read_context", "cite", "verify_quotes", "see_approval", "submit_step"]
STEPS = {
    "read": ["shop__read_item"],
    "classify": ["shop__find_item"],
    "plan": ["shop__try_change"],
    "draft": [],
    "execute": ["shop__change_own"],
}


def properties(tool: Tool) -> set[str]:
    """The arguments that a tool's schema shows."""
    return set(tool.input_schema.get("properties", {}))


async def test_the_desk_is_the_same_list_whatever_runs_there_are(room: Room, peer: Peer, era: str) -> None:
    before = await peer.tools()
    assert [tool.name for tool in before] == list(DESK)
    for workflow in ("change", "repair"):
        await peer.open(workflow)
    assert await peer.tools() == before
    _, key = await room.agent(tenant="other")
    async with room.peer(key, era) as other:
        assert await other.tools() == before
    assert "run_id" not in properties(before[0])
    assert all("run_id" in tool.input_schema["required"] for tool in before[1:])


async def test_a_pass_lists_exactly_its_steps_tools_and_those_for_reading_without_a_run_id(
    room: Room, peer: Peer, era: str
) -> None:
    run = await peer.open("repair")
    seen: list[list[str]] = []
    for step, own in STEPS.items():
        issued = await peer.call("current_step", run_id=run, with_pass=True)
        assert issued.body["step"] == step
        async with room.peer(str(issued.body["step_pass"]), era) as within:
            listed = await within.tools()
            assert [tool.name for tool in listed] == own + BESIDE
            assert not any("run_id" in properties(tool) for tool in listed)
            assert await within.tools() == listed
        seen.append(await _names_at(room, issued.body["step_pass"], era))
        assert [tool["name"] for tool in issued.body["tools"]] == own
        await peer.submit(run, step)
    assert len({tuple(names) for names in seen}) == len(STEPS)


async def test_a_url_lists_the_same_tools_with_a_run_id(room: Room, era: str) -> None:
    _, key = await room.agent()
    for step, own in STEPS.items():
        async with room.peer(key, era, f"/repair/{step}") as at_url:
            listed = await at_url.tools()
            assert [tool.name for tool in listed] == own + BESIDE
            assert all("run_id" in tool.input_schema["required"] for tool in listed)


async def test_case_67_a_write_shows_the_approval_token_and_never_what_is_bound_or_claimed(
    room: Room, era: str
) -> None:
    _, key = await room.agent()
    async with room.peer(key, era, "/repair/execute") as at_url:
        write = (await at_url.tools())[0]
        assert properties(write) == {"run_id", "approval_token", "price", "note", "label", "details"}
        assert write.input_schema["required"] == ["run_id", "price"]
        # The upstream says of this tool that it only reads.
        assert write.annotations is not None
        assert (write.annotations.read_only_hint, write.annotations.destructive_hint) == (False, True)
    async with room.peer(key, era, "/repair/read") as at_url:
        read = (await at_url.tools())[0]
        assert properties(read) == {"run_id"}


async def test_a_list_is_the_same_bytes_each_time_and_private(room: Room, peer: Peer, era: str) -> None:
    run = await peer.open("change")
    issued = await peer.call("current_step", run_id=run, with_pass=True)
    _, key = await room.agent()
    for credential, place in ((key, ""), (key, "/change/act"), (str(issued.body["step_pass"]), "")):
        raw: list[Any] = []
        for _ in range(2):
            async with wired(room.url + place, credential, era) as wire:
                answer = await wire.post("tools/list", _list_params(era), request_id=1)
                raw.append(answer.content)
                if era == "auto":
                    assert answer.json()["result"]["cacheScope"] == "private"
                    assert answer.json()["result"]["ttlMs"] == 0
        assert raw[0] == raw[1]


async def test_a_stale_pass_lists_nothing(room: Room, peer: Peer, era: str) -> None:
    run = await peer.open("change")
    found = room.read(lambda reading: find_run(reading, run))
    assert found is not None
    step_pass = await room.work(lambda tx: issue_pass(tx, found, 3_600_000))
    assert await _names_at(room, step_pass, era) == ["shop__change_item", *BESIDE]
    await peer.submit(run, "act", "again")
    assert await _names_at(room, step_pass, era) == []


async def test_case_65_two_runs_on_one_connection_see_nothing_of_each_other(room: Room, peer: Peer) -> None:
    one, two = (
        await peer.open("repair", "When may the price of an item be changed?"),
        await peer.open("change"),
    )
    observed = await peer.use(one, "shop__read_item")
    asked = await peer.use(two, "shop__change_item", item_id="x", price=1)
    bundle = await peer.call("read_context", run_id=one)
    assert (await peer.use(two, "shop__read_item")).code == "unknown_tool"
    assert (await peer.use(one, "shop__change_item", item_id="x", price=1)).code == "unknown_tool"
    assert (await peer.call("cite", run_id=two, source=observed.observation)).code == "unknown_tool"
    assert (await peer.call("see_approval", run_id=one)).body["approvals"] == []
    request = asked.approval["request"]
    assert (await peer.call("see_approval", run_id=one, request=request)).code == "unknown_tool"
    quotes = [
        {"source": observed.observation, "quote": "costs 10 coins"},
        {"source": bundle.body["items"][0]["id"], "quote": bundle.body["items"][0]["quote"]},
    ]
    found = await peer.call("verify_quotes", run_id=one, quotes=quotes)
    assert None not in found.body["found"]
    # The second run was shown neither, although the same agent was.
    assert (await peer.call("verify_quotes", run_id=two, quotes=quotes)).body["found"] == [None, None]


async def _names_at(room: Room, credential: str, era: str) -> list[str]:
    async with room.peer(credential, era) as peer:
        return await peer.names()


def _list_params(era: str) -> bytes:
    if era == "legacy":
        return b"{}"
    prefix = "io.modelcontextprotocol/"
    told = f'"{prefix}protocolVersion": "2026-07-28", "{prefix}clientCapabilities": {{}}'
    return f'{{"_meta": {{{told}}}}}'.encode()
