"""Every call that somebody else recorded, made by a scripted agent where its tool is and where it is not.

The agent walks the workflows of its domain over HTTP with the SDK's client, each task from a fresh database.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from tests.foreign.tau.agent import Agent, workflow_of
from tests.foreign.tau.domains import DOMAINS, Domain
from tests.foreign.tau.office import Office, make_office, opened
from tests.foreign.tau.published import GoldCall
from tests.rooms.peers import Peer, connected
from tests.rooms.test_unknown_tools import answer_to
from tests.rooms.wire import Wire, wired

pytestmark = [pytest.mark.shared_data, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(params=DOMAINS.values(), ids=list(DOMAINS), scope="module")
async def office(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, shared_data: Path
) -> AsyncGenerator[Office]:
    domain: Domain = request.param
    place = tmp_path_factory.mktemp(domain.name) / "data"
    async with opened(make_office(place, domain, shared_data / f"tau_{domain.name}")) as office:
        yield office


async def test_every_recorded_call_works_in_the_step_that_has_its_tool(office: Office) -> None:
    key = await office.agent("walker")
    async with connected(office.url, key) as peer:
        for task in office.tasks:
            office.outside.reset()
            agent = await Agent.begin(office, peer, task)
            for call in task:
                said = await agent.make(call)
                assert said.is_error == call.is_error, (call, said)
                assert office.outside.changes() == call.changes, call
            await agent.finish()
    # Bound arguments were left out by the agent and put in by the run: what arrived is what was recorded.
    recorded = [(call.tool, call.arguments) for task in office.tasks for call in task]
    assert office.outside.calls()[-len(recorded) :] == recorded


async def test_case_63_every_recorded_call_is_unknown_in_every_step_without_its_tool(office: Office) -> None:
    key = await office.agent("stranger")
    calls: dict[str, list[GoldCall]] = {}
    for task in office.tasks:
        calls.setdefault(workflow_of(office.domain, task), []).extend(task)
    assert len(calls) == 2
    arrived, asked = office.outside.count(), list[int]()
    async with connected(office.url, key) as peer, anyio.create_task_group() as lanes:
        for workflow, recorded in calls.items():
            for step, tools, credential in await passes_of(office, peer, workflow):
                foreign = [call for call in recorded if office.domain.view_of(call, workflow) not in tools]
                asked.append(len(foreign))
                lanes.start_soon(ask_in_vain, office, credential, workflow, step, foreign)
    assert office.outside.count() == arrived
    steps = {workflow: len(office.steps_of(workflow)) for workflow in calls}
    assert sum(asked) == sum(len(recorded) * (steps[name] - 1) for name, recorded in calls.items())


async def passes_of(office: Office, peer: Peer, workflow: str) -> list[tuple[str, list[str], str]]:
    """For each step of a workflow: its name, its tools, and the pass of a run that stands there."""
    found: list[tuple[str, list[str], str]] = []
    for step in office.steps_of(workflow):
        agent = await Agent.open(office, peer, workflow, office.tasks[0])
        await agent.go(step)
        told = await peer.call("current_step", run_id=agent.run, with_pass=True)
        assert told.body["step"] == step
        found.append((step, [tool["name"] for tool in told.body["tools"]], str(told.body["step_pass"])))
    return found


async def ask_in_vain(
    office: Office, credential: str, workflow: str, step: str, calls: list[GoldCall]
) -> None:
    """Each call is answered with the bytes that answer a name which nobody ever gave."""
    async with wired(office.url, credential, "auto") as wire:
        unknown = await answer_to(wire, "nobody__gave_this_name", "{}")
        assert b"-32602" in unknown
        for call in calls:
            answer = await _answer(office, wire, workflow, call)
            assert answer == unknown, (step, call)


async def _answer(office: Office, wire: Wire, workflow: str, call: GoldCall) -> bytes:
    return await answer_to(wire, office.domain.view_of(call, workflow), json.dumps(call.arguments))
