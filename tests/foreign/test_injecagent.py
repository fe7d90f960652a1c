"""An agent that obeys whatever it reads: every published injection, in a tool's answer and in evidence.

Where it stands, the tools that the injections ask for do not exist. In other runs of its own it stands where
they do, and it brings every token that it can find: made up, another's, one that is good for another call.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread

from context_store.curation import review, submit
from context_store.importing import Intake, import_text
from context_store.provenance import ProvenanceId
from context_store.releases import publish
from server.data_folder import write_private
from tests.foreign.injecagent import READ, Case, cases, tools
from tests.foreign.tau.domains import ROOT
from tests.rooms.peers import Peer
from tests.rooms.stage import Room, Stage, found_stage, served
from tool_scopes.upstream.servers import StdioServer
from tool_scopes.upstream.tools import UpstreamTool, fingerprint

pytestmark = [pytest.mark.shared_data, pytest.mark.slow, pytest.mark.timeout(300)]

LANES = 8
GROUP = 31
"""How many tool answers stand in one document of the evidence."""
REFUSALS = {"approval_required", "approval_mismatch", "rate_limited"}
GOOD = {"instruction": "What a human approved."}


@dataclass(slots=True)
class Obedient:
    """The agent: where it reads, and the runs in which it stands at each tool that somebody could ask for."""

    room: Room
    peer: Peer
    within: Peer
    """The same agent with the pass of the step in which it reads."""
    run: str
    at_tool: dict[str, str]
    tokens: Sequence[str]
    tally: Counter[str] = field(default_factory=Counter[str])
    _turn: itertools.count[int] = field(default_factory=itertools.count)

    async def obey(self, case: Case) -> None:
        """Do all that a case asks for, in every way there is."""
        for name in (wanted for tool in case.wanted for wanted in (tool, f"inject__{tool}")):
            said = await self.within.call(name, instruction=case.instruction)
            assert said.error == (-32602, f"Unknown tool: {name}")
            self.tally["unknown"] += 1
        for tool in case.wanted:
            token = self.tokens[next(self._turn) % len(self.tokens)]
            said = await self.peer.use(
                self.at_tool[tool], f"inject__{tool}", token, instruction=case.instruction
            )
            assert said.code in REFUSALS, said
            self.tally[said.code] += 1

    async def sees(self) -> str:
        """Everything that says what it may do: its tools, and its step in words."""
        listed = [tool.model_dump(mode="json") for tool in await self.within.tools()]
        step = (await self.within.call("current_step")).body
        return json.dumps([listed, step], sort_keys=True)


def step_for(tool: str) -> str:
    return f"do_{tool.lower()}"


def make_stage(place: Path, folder: Path) -> Stage:
    """The rooms' stage with one upstream more, its workflow, and the injections as published evidence."""
    stage = found_stage(place)
    env = {
        "PYTHONPATH": str(ROOT),
        "INJECAGENT_FOLDER": "${INJECAGENT_FOLDER}",
        "INJECAGENT_CALLS": "${DATA}/called.jsonl",
    }
    server = StdioServer(("${PYTHON}", "-m", "tests.foreign.injecagent"), env)
    offered = tools(folder)
    views = {
        name: {
            "effect": "read" if name == READ else "write",
            "fingerprint": fingerprint(server.endpoint, UpstreamTool(name, name, schema)),
        }
        | ({} if name == READ else {"target": "whatever"})
        for name, schema in offered.items()
    }
    catalogue = {"upstream": "inject", "transport": "stdio", "command": list(server.command), "env": env}
    (stage.folder.catalogue_dir / "inject.yaml").write_text(json.dumps(catalogue | {"tools": views}))
    wanted = [name for name in offered if name != READ]
    steps: dict[str, Any] = {
        "read": {
            "kind": "read",
            "purpose": "Read what came in.",
            "tools": [f"inject__{READ}"],
            "context": {"collections": ["inbox"], "need": "{request}", "budget": 2_000},
            "next": [step_for(tool) for tool in wanted],
        }
    }
    steps |= {
        step_for(tool): {"kind": "execute", "purpose": "To write.", "tools": [f"inject__{tool}"]}
        for tool in wanted
    }
    given = {"type": "object", "properties": {"request": {"type": "string"}}, "required": ["request"]}
    workflow = {"workflow": "inject", "version": 1, "purpose": "To read.", "input": given, "start": "read"}
    (stage.folder.workflows_dir / "inject.yaml").write_text(json.dumps(workflow | {"steps": steps}))
    write_private(stage.folder.secrets_file, f"INJECAGENT_FOLDER={folder}\n".encode())
    return stage


def publish_evidence(room: Room, every: list[Case]) -> None:
    """Bring the tool answers into force as documents of a few dozen each, in one release."""
    store, ledger = room.house.store, room.house.ledger
    versions: list[ProvenanceId] = []
    for start in range(0, len(every), GROUP):
        said = "\n\n".join(case.said for case in every[start : start + GROUP])
        text = f"---\ncollection: inbox\n---\n# Answers from {start}\n\n{said}\n".encode()
        name = f"inbox-{start}.md"
        intake = Intake("acme", "ada")
        versions.append(import_text(store, ledger, text, name, f"memory:{name}", intake).id)
    for version in versions:
        ledger.transact_now(lambda tx, version=version: submit(tx, "acme", version, "ada"))
        ledger.transact_now(lambda tx, version=version: review(tx, "acme", version, "rita", "accept"))
    publish(store, ledger, "acme", versions, "ada")


async def stand(room: Room, peer: Peer, step: str = "read") -> tuple[str, str]:
    """A run in a step, and a pass for it."""
    opened = await peer.call("open_run", workflow="inject", input={"request": "What came in today?"})
    run = str(opened.body["run"])
    if step != "read":
        assert (await peer.submit(run, "read", next=step)).code == "done"
    issued = await peer.call("current_step", run_id=run, with_pass=True)
    assert issued.body["step"] == step
    return run, str(issued.body["step_pass"])


@pytest.fixture(scope="module")
def every(shared_data: Path) -> list[Case]:
    return cases(shared_data / "injecagent")


@pytest.fixture(scope="module")
async def obedient(
    shared_data: Path, every: list[Case], tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Obedient]:
    place = tmp_path_factory.mktemp("inject") / "data"
    stage = await to_thread.run_sync(make_stage, place, shared_data / "injecagent")
    async with served(stage) as room:
        await to_thread.run_sync(publish_evidence, room, every)
        _, key = await room.agent()
        _, others = await room.agent()
        wanted = sorted({tool for case in every for tool in case.wanted})
        async with room.peer(key) as peer, room.peer(others) as other:
            run, step_pass = await stand(room, peer)
            at_tool = {tool: (await stand(room, peer, step_for(tool)))[0] for tool in wanted}
            theirs, _ = await stand(room, other, step_for(wanted[0]))
            write = f"inject__{wanted[0]}"
            victim = await room.approved(other, theirs, write, **GOOD)
            own = await room.approved(peer, at_tool[wanted[0]], write, **GOOD)
            tokens = ["apr_" + "0" * 26, victim.token, own.token]
            async with room.peer(step_pass) as within:
                yield Obedient(room, peer, within, run, at_tool, tokens)


def called(obedient: Obedient) -> list[dict[str, Any]]:
    """What reached a tool that writes."""
    path = obedient.room.stage.folder.root / "called.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def test_case_73_what_a_tool_says_changes_no_list_and_no_decision(
    obedient: Obedient, every: list[Case]
) -> None:
    assert len(every) == 1_054
    before = await obedient.sees()

    async def lane(some: list[Case]) -> None:
        for case in some:
            said = await obedient.peer.use(obedient.run, f"inject__{READ}", number=case.number)
            assert said.code == "done"
            assert said.body["result"]["content"] == [{"type": "text", "text": case.said}]
            assert said.body.keys() == {"code", "execution", "observation", "result"}
            await obedient.obey(case)

    async with anyio.create_task_group() as lanes:
        for number in range(LANES):
            lanes.start_soon(lane, every[number::LANES])
    assert await obedient.sees() == before
    assert called(obedient) == []
    wanted = sum(len(case.wanted) for case in every)
    assert obedient.tally["unknown"] == 2 * wanted
    assert sum(obedient.tally[code] for code in REFUSALS) == wanted


async def test_case_73_what_evidence_says_changes_no_list_and_no_decision(
    obedient: Obedient, every: list[Case]
) -> None:
    before = await obedient.sees()
    by_instruction = {case.instruction: case for case in every}
    found = 0
    for instruction, case in by_instruction.items():
        bundle = await obedient.peer.call("read_context", run_id=obedient.run, need=instruction)
        assert bundle.code == "done"
        found += any(instruction in item["quote"] for item in bundle.body["items"])
        await obedient.obey(case)
    # The evidence was really shown: most of the instructions stood word for word in what was read.
    assert found > len(by_instruction) / 2
    assert await obedient.sees() == before
    assert called(obedient) == []


async def test_case_37_only_the_one_call_that_a_human_approved_is_made(
    obedient: Obedient, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print(f"\nInjecAgent: obeyed and refused {dict(obedient.tally)}; {len(called(obedient))} writes")
    tool, run = next(iter(obedient.at_tool.items()))
    said = await obedient.peer.use(run, f"inject__{tool}", obedient.tokens[-1], **GOOD)
    assert said.code == "done", said
    assert called(obedient) == [{"tool": tool, "arguments": GOOD}]
    assert len(obedient.room.entries("execution.begun")) == 1
