"""Over stdio: the same desk, steps and gate through a pipe, beside a server or without one."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import pytest
from anyio import to_thread
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import PromptReference
from pydantic import BaseModel

from server.desk import DESK
from tests.rooms.peers import APPROVAL_META, Peer
from tests.rooms.processes import BAILIWICK, ROOT
from tests.rooms.stage import Room, Stage, served, until

CHANGE = "shop__change_item"


def command(stage: Stage, credential: str) -> StdioServerParameters:
    """`bailiwick stdio` on a stage, with a credential in its environment."""
    program, *arguments = (*BAILIWICK, "stdio", "--data", str(stage.folder.root))
    env = {"PATH": os.environ["PATH"], "BAILIWICK_AGENT_KEY": credential, "BAILIWICK_LOG_LEVEL": "error"}
    return StdioServerParameters(command=program, args=arguments, env=env, cwd=ROOT)


@asynccontextmanager
async def piped(stage: Stage, credential: str, era: str) -> AsyncGenerator[Peer]:
    """A connection through `bailiwick stdio`."""
    async with Client(stdio_client(command(stage, credential)), mode=era, cache=None) as client:
        yield Peer(client)


async def test_through_a_pipe_an_agent_works_as_at_the_desk(room: Room, era: str, item: str) -> None:
    _, key = await room.agent()
    async with piped(room.stage, key, era) as peer, room.peer(key, era) as beside:
        assert await peer.names() == list(DESK)
        run = await peer.open("change", idempotency_key="k")
        assert await beside.open("change", idempotency_key="k") == run
        invented = await peer.call("shop__nothing", item_id=item)
        assert invented.error == (await beside.call("shop__nothing", item_id=item)).error
        hidden = await peer.use(run, "shop__rename_item", item_id=item, price=5)
        assert (hidden.code, hidden.text) == (
            "unknown_tool",
            (await peer.use(run, "shop__nothing", item_id=item, price=5)).text,
        )
        asked = await room.approved(peer, run, item_id=item, price=5)
        codes = [
            (await peer.use(run, CHANGE, asked.token, item_id=item, price=price)).code for price in (6, 5, 5)
        ]
        assert codes == ["approval_mismatch", "done", "approval_spent"]
        bundle = await peer.call("read_context", run_id=run)
        assert bundle.text == (await beside.call("read_context", run_id=run)).text
    assert room.stage.effects(item) == [{"item_id": item, "price": 5, "note": ""}]


async def test_a_pass_through_a_pipe_shows_one_step_and_brings_its_token_in_meta(
    room: Room, item: str
) -> None:
    _, key = await room.agent()
    async with room.peer(key) as peer:
        run = await peer.open("change")
        issued = await peer.call("current_step", run_id=run, with_pass=True)
    async with piped(room.stage, str(issued.body["step_pass"]), "auto") as within:
        assert (await within.names())[0] == CHANGE
        asked = await within.call(CHANGE, item_id=item, price=5)
        await room.judge("rita", asked.approval["request"])
        done = await within.call(CHANGE, {APPROVAL_META: asked.token}, item_id=item, price=5)
        assert done.code == "done"
        errors = {(await within.call(name)).error for name in ("use_tool", "open_run", "shop__nothing")}
        assert {str(error).replace("use_tool", "X").replace("open_run", "X") for error in errors} == {
            "(-32602, 'Unknown tool: X')",
            "(-32602, 'Unknown tool: shop__nothing')",
        }
        async with room.peer(key) as peer:
            await peer.submit(run, "act", "again")
        assert await within.names() == []
        assert (await within.call(CHANGE, item_id=item, price=5)).code == "step_closed"


async def test_resources_prompts_and_completions_are_the_same_through_a_pipe(room: Room, era: str) -> None:
    _, key = await room.agent()
    async with room.peer(key, era) as beside, piped(room.stage, key, era) as peer:
        run = await peer.open("repair")
        bundle = (await peer.call("read_context", run_id=run)).body["bundle"]
        for one in (peer, beside):
            await one.client.list_resources()
            await one.client.get_prompt("repair/read", {"run_id": run})
        uri, ref = f"bundle://{bundle}?run_id={run}", PromptReference(name="repair/read")
        asked: list[Callable[[Peer], Awaitable[BaseModel]]] = [
            lambda one: one.client.list_prompts(),
            lambda one: one.client.list_resource_templates(),
            lambda one: one.client.read_resource(uri),
            lambda one: one.client.complete(ref, {"name": "run_id", "value": run[:8]}),
        ]
        for ask in asked:
            mine, theirs = await ask(peer), await ask(beside)
            assert mine.model_dump(exclude={"meta"}) == theirs.model_dump(exclude={"meta"})


async def test_without_a_server_the_pipe_owns_the_folder_and_people_reach_it(stage: Stage, item: str) -> None:
    async with served(stage) as room:
        _, key = await room.agent()
    async with piped(stage, key, "auto") as peer:
        run = await peer.open("change")
        asked = await peer.use(run, CHANGE, item_id=item, price=5)
        url = str(json.loads(stage.folder.owner_file.read_bytes())["url"])
        await to_thread.run_sync(partial(stage.judge, url, "rita", asked.approval["request"]))
        assert (await peer.use(run, CHANGE, asked.token, item_id=item, price=5)).code == "done"
        # A second client on the same folder joins the first one's process.
        async with piped(stage, key, "legacy") as second:
            again = await second.use(run, CHANGE, asked.token, item_id=item, price=5)
            assert again.code == "approval_spent"
    assert len(stage.effects(item)) == 1


@pytest.mark.parametrize(
    ("owned", "era"), [(True, "auto"), (False, "legacy")], ids=["beside_a_server", "as_the_owner"]
)
async def test_case_53_a_pipe_that_closes_mid_write_leaves_effect_and_outcome_whole(
    stage: Stage, item: str, owned: bool, era: str
) -> None:
    async with served(stage) as room:
        _, key = await room.agent()
        async with room.peer(key, era) as peer:
            run = await peer.open("change")
            asked = await room.approved(peer, run, item_id=item, price=5)
        stage.tell_upstream("wait")
        if owned:
            await close_mid_write(stage, key, era, run, asked.token, item)
            await until(lambda: room.request(asked.approval["request"]).state == "succeeded")
    if not owned:
        await close_mid_write(stage, key, era, run, asked.token, item)
        await until(lambda: not stage.folder.owner_file.exists())
    async with served(stage) as room:
        assert room.request(asked.approval["request"]).state == "succeeded"
        assert len(room.entries("execution.settled", run=run)) == 1
    assert len(stage.effects(item)) == 1


async def close_mid_write(stage: Stage, key: str, era: str, run: str, token: str, item: str) -> None:
    """Make the write through a pipe and close the pipe while the upstream works."""
    with anyio.CancelScope() as scope:
        async with piped(stage, key, era) as peer, anyio.create_task_group() as tasks:
            tasks.start_soon(partial(peer.use, run, CHANGE, token, item_id=item, price=5))
            await until(lambda: stage.frames() == 1)
            tasks.start_soon(let_go_later, stage)
            scope.cancel()


async def let_go_later(stage: Stage) -> None:
    with anyio.CancelScope(shield=True):
        await anyio.sleep(0.1)
        stage.let_go()


REFUSED: tuple[tuple[str | None, int, str], ...] = (
    (None, 2, "No agent speaks here"),
    ("bwk_short", 2, "malformed"),
    ("bwk_" + "0" * 26, 1, "not known here"),
)


async def test_without_a_good_key_the_pipe_says_so_in_one_sentence(room: Room) -> None:
    asked = (*BAILIWICK, "stdio", "--data", str(room.stage.folder.root))

    async def refused(key: str | None, code: int, told: str) -> None:
        env = {"PATH": os.environ["PATH"]} | ({} if key is None else {"BAILIWICK_AGENT_KEY": key})
        done = await anyio.run_process(asked, cwd=ROOT, env=env, check=False, input=b"")
        assert (done.returncode, done.stdout) == (code, b"")
        assert told in done.stderr.decode()
        assert "Traceback" not in done.stderr.decode()

    async with anyio.create_task_group() as tasks:
        for one in REFUSED:
            tasks.start_soon(refused, *one)


ODD_ARGUMENTS = {
    "case_17_nan": '"item_id": "i", "price": NaN',
    "case_17_1e400": '"item_id": "i", "price": 1e400',
    "case_17_beyond_2_53": '"item_id": "i", "price": 9007199254740993',
    "case_17_a_lone_surrogate": '"item_id": "i", "price": 1, "note": "\\ud800"',
    "case_20_deep": '"item_id": "i", "price": 1, "details": ' + "[" * 40 + "]" * 40,
    "case_15_twice": '"item_id": "i", "price": 1, "price": 2',
    "case_15_twice_within": '"item_id": "i", "price": 1, "details": {"a": 1, "a": 2}',
    "bad_utf_8": '"item_id": "i", "price": 1, "note": "\udcff"',
}
GOOD = '"item_id": "i", "price": 1'


async def test_cases_15_17_and_20_what_has_no_canonical_form_is_refused_in_a_pipe_too(room: Room) -> None:
    before = room.refused("invalid_arguments")
    answers = await said_to_each(room, [*ODD_ARGUMENTS.values(), GOOD])
    for name, answer in zip(ODD_ARGUMENTS, answers, strict=False):
        assert code_of(answer) == "invalid_arguments", (name, answer)
    assert "'price'" in answers[5]["result"]["structuredContent"]["why"]
    assert code_of(answers[-1]) == "approval_required"
    assert room.refused("invalid_arguments") == before + len(ODD_ARGUMENTS)


def code_of(answer: Any) -> str:
    """The code of an answer; for an error of the protocol, its number."""
    if "error" in answer:
        return str(answer["error"]["code"])
    return str(answer["result"]["structuredContent"]["code"])


def odd_line(number: int, run: str, arguments: str) -> bytes:
    """A call of `use_tool` in the modern era with these very arguments, as one line."""
    prefix = "io.modelcontextprotocol/"
    meta = json.dumps({f"{prefix}protocolVersion": "2026-07-28", f"{prefix}clientCapabilities": {}})
    given = f'{{"run_id": "{run}", "tool": "{CHANGE}", "arguments": {{{arguments}}}}}'
    params = f'{{"name": "use_tool", "arguments": {given}, "_meta": {meta}}}'
    return f'{{"jsonrpc": "2.0", "id": {number}, "method": "tools/call", "params": {params}}}\n'.encode(
        errors="surrogateescape"
    )


async def said_to_each(room: Room, arguments: list[str]) -> list[Any]:
    """The answer to each of these calls of one agent."""
    _, key = await room.agent()
    async with room.peer(key) as peer:
        run = await peer.open("change")
    asked = command(room.stage, key)
    answers: dict[int, Any] = {}
    async with await anyio.open_process([asked.command, *asked.args], cwd=ROOT, env=asked.env) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        heard = BufferedByteReceiveStream(process.stdout)
        with anyio.fail_after(90):
            for number, given in enumerate(arguments):
                await process.stdin.send(odd_line(number, run, given))
            while len(answers) < len(arguments):
                answer = json.loads(await heard.receive_until(b"\n", 1_000_000))
                answers[answer["id"]] = answer
        await process.stdin.aclose()
    return [answers[number] for number in range(len(arguments))]
