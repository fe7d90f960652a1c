"""Three public MCP servers that nobody here wrote, behind the scopes of one workflow: files, a memory, and
one that shows everything a server can do, its own environment included.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.foreign.newcomer import Newcomer, Server
from tests.rooms.peers import Peer, connected
from tests.rooms.test_unknown_tools import answer_to
from tests.rooms.wire import wired

pytestmark = [pytest.mark.npx, pytest.mark.slow, pytest.mark.timeout(300)]

STEPS = {
    "files": ["files__list_directory", "files__read_text_file"],
    "talk": ["public__echo", "public__get-env"],
    "recall": ["memory__read_graph", "memory__search_nodes"],
    "learn": ["memory__create_entities"],
}
WORKFLOW = """\
workflow: look_around
version: 1
purpose: Look into three places, then remember one thing.
input: {type: object, properties: {request: {type: string}}, required: [request], additionalProperties: false}
start: files
steps:
"""
ENTITIES = [{"name": "shop", "entityType": "place", "observations": ["opens at 9"]}]


def workflow() -> str:
    """Each upstream's tools in a step of their own; the last one writes."""
    names = list(STEPS)
    lines = [
        f"  {name}: {{kind: {'execute' if name == 'learn' else 'read'}, purpose: To {name}., tools: {tools},"
        f" next: {names[place + 1 : place + 2]}}}\n"
        for place, (name, tools) in enumerate(STEPS.items())
    ]
    return WORKFLOW + "".join(lines).replace("'", "")


def judge(data: Path) -> None:
    """What an admin says in an editor of the tools that the workflow names; the rest stay hidden writes."""
    for path in (data / "catalogue").glob("*.yaml"):
        text = path.read_text("utf-8")
        for view in (name for names in STEPS.values() for name in names):
            upstream, tool = view.split("__")
            if upstream != path.stem:
                continue
            said = "effect: read" if view not in STEPS["learn"] else 'effect: write\n    target: "graph"'
            drafted = rf'(?m)^  "?{re.escape(tool)}"?:\n    effect: write\n    hidden: true$'
            text, found = re.subn(drafted, f'  "{tool}":\n    {said}\n    hidden: false', text)
            assert found == 1, view
        path.write_text(text, "utf-8")


@asynccontextmanager
async def three_behind(
    newcomer: Newcomer, servers: dict[str, list[str]]
) -> AsyncGenerator[tuple[Server, str]]:
    """A server with the three upstreams, added and judged as a person would, and the key of an agent."""
    (newcomer.place / "shop").mkdir()
    (newcomer.place / "shop" / "hours.txt").write_text("We are open from 9 to 5.\n")
    certificates = os.environ.get("NODE_EXTRA_CA_CERTS")
    trusted = ["--env", f"NODE_EXTRA_CA_CERTS={certificates}"] if certificates else []
    added = {
        "files": [*trusted, "--", *servers["filesystem"], newcomer.place / "shop"],
        "memory": [
            *trusted,
            *("--env", f"MEMORY_FILE_PATH={newcomer.place / 'memory.jsonl'}"),
            *("--", *servers["memory"]),
        ],
        "public": [*trusted, "--env", "GREETING=${GREETING}", "--", *servers["everything"]],
    }
    secrets = newcomer.data / "secrets.env"
    secrets.write_text("GREETING=hello\n")
    secrets.chmod(0o600)
    for name, words in added.items():
        said = newcomer.say("upstream", "add", name, *words)
        assert said.code == 0, said.err
    judge(newcomer.data)
    newcomer.write_workflow("look_around", workflow())
    key = newcomer.say("agent", "add", "bot").line
    with newcomer.served() as server:
        yield server, key


async def test_three_public_upstreams_are_seen_only_in_the_steps_that_have_them(
    newcomer: Newcomer, public_servers: dict[str, list[str]]
) -> None:
    async with three_behind(newcomer, public_servers) as (server, key), connected(server.url, key) as desk:
        opened = await desk.call("open_run", workflow="look_around", input={"request": "Look around."})
        run = str(opened.body["run"])
        for place, (step, own) in enumerate(STEPS.items()):
            told = await desk.call("current_step", run_id=run, with_pass=True)
            assert (told.body["step"], [tool["name"] for tool in told.body["tools"]]) == (step, own)
            async with connected(server.url, str(told.body["step_pass"])) as within:
                assert [name for name in await within.names() if "__" in name] == own
            await others_are_unknown(server, str(told.body["step_pass"]), own)
            await USES[step](newcomer, desk, run)
            if place < len(STEPS) - 1:
                await desk.submit(run, step, state={})


async def others_are_unknown(server: Server, step_pass: str, own: list[str]) -> None:
    """Every other tool of the three is answered as a name that nobody ever gave, byte for byte."""
    others = [name for names in STEPS.values() for name in names if name not in own]
    hidden = ["files__write_file", "memory__delete_entities", "public__gzip-file-as-resource", "echo"]
    async with wired(server.url, step_pass, "auto") as wire:
        unknown = await answer_to(wire, "nobody__gave_this_name")
        assert b"-32602" in unknown
        for name in (*others, *hidden):
            assert await answer_to(wire, name, json.dumps({"message": "hi", "path": "/"})) == unknown, name


async def use_files(newcomer: Newcomer, desk: Peer, run: str) -> None:
    hours = str(newcomer.place / "shop" / "hours.txt")
    assert "from 9 to 5" in (await desk.use(run, "files__read_text_file", path=hours)).text
    # What the upstream itself refuses is its own answer, and no refusal of ours.
    outside = await desk.use(run, "files__read_text_file", path=str(newcomer.data / "secrets.env"))
    assert (outside.code, outside.is_error) == ("done", True)
    assert "GREETING" not in outside.text


async def talk(newcomer: Newcomer, desk: Peer, run: str) -> None:
    assert "hi there" in (await desk.use(run, "public__echo", message="hi there")).text
    shown = await desk.use(run, "public__get-env")
    environment: dict[str, Any] = json.loads(shown.body["result"]["content"][0]["text"])
    # Its environment is what the catalogue says and what any program needs.
    assert environment["GREETING"] == "hello"
    assert not [name for name in environment if "BAILIWICK" in name.upper()]
    assert str(newcomer.data) not in json.dumps(environment)


async def recall(_newcomer: Newcomer, desk: Peer, run: str) -> None:
    said = await desk.use(run, "memory__read_graph")
    assert said.body["result"]["structuredContent"] == {"entities": [], "relations": []}


async def learn(newcomer: Newcomer, desk: Peer, run: str) -> None:
    memory = newcomer.place / "memory.jsonl"
    asked = await desk.use(run, "memory__create_entities", entities=ENTITIES)
    assert asked.code == "approval_required"
    assert not memory.exists()
    assert newcomer.say("approval", "approve", asked.approval["request"], by="rob").code == 0
    done = await desk.use(run, "memory__create_entities", asked.token, entities=ENTITIES)
    assert done.code == "done"
    assert [json.loads(line)["name"] for line in memory.read_text().splitlines()] == ["shop"]
    again = await desk.use(run, "memory__create_entities", asked.token, entities=ENTITIES)
    assert again.code == "approval_spent"


USES = {"files": use_files, "talk": talk, "recall": recall, "learn": learn}
