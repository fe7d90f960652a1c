"""An agent that knows nothing of Bailiwick does a whole workflow with what it is told, for few tokens.

The agent below is a program, not a model: it reads instructions, schemas and `current_step`, and knows no
name that does not stand there.
"""

from __future__ import annotations

import json
import re
from typing import Any

from context_store.tokens import estimate_tokens
from tests.rooms.peers import Peer, Said
from tests.rooms.stage import Room

MOST_TOKENS_OF_THE_DESK = 2_400  # with the nine workflows of the stage; counted rather too high
MOST_TOKENS_OF_A_STEP = 650


def made_for(schema: dict[str, Any]) -> Any:
    """The smallest value that a JSON Schema of our kind allows."""
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "object":
        properties = schema.get("properties", {})
        return {key: made_for(properties[key]) for key in schema.get("required", ())}
    smallest = {"string": "x" * schema.get("minLength", 1), "integer": schema.get("minimum", 1), "number": 1}
    return smallest.get(schema.get("type", ""), False)


class Newcomer:
    """Does what it is told, one step at a time."""

    def __init__(self, room: Room, peer: Peer) -> None:
        self.room, self.peer, self.told = room, peer, dict[str, int]()

    async def carry_out(self, workflow: str) -> Said:
        """Open a run of the workflow, with whatever input its description names, and end it."""
        tools = {tool.name: tool for tool in await self.peer.tools()}
        told = re.search(rf"^{workflow} \(input: (.*?)\)", tools["open_run"].description or "", re.MULTILINE)
        assert told is not None
        given = dict.fromkeys(told[1].split(", "), "When may the price of an item be changed?")
        said = await self.peer.call("open_run", workflow=workflow, input=given)
        while "current_step" in said.body:
            said = await self._do(said.body["current_step"], said.body.get("approval"))
        return said

    async def _do(self, step: dict[str, Any], approval: dict[str, Any] | None) -> Said:
        run = step["run"]
        self.told[step["step"]] = estimate_tokens(json.dumps(step))
        evidence: list[dict[str, str]] = []
        if "context" in step:
            bundle = await self.peer.call("read_context", run_id=run)
            evidence = [{"source": one["id"], "quote": one["quote"]} for one in bundle.body["items"][:1]]
        for tool in step["tools"]:
            await self._call(run, tool, approval)
        proposed = [
            {"type": one["type"], "target_id": None, "arguments": made_for(one["arguments"])}
            for one in step.get("can_propose", ())
        ]
        envelope = {
            "step": step["step"],
            "status": "done",
            "confidence": 0.9,
            "evidence": evidence,
            "proposed_action": proposed[0] if proposed else None,
            "reason": "As the rules of the step say.",
            "state": made_for(step["output_schema"]),
        }
        return await self.peer.call("submit_step", run_id=run, envelope=envelope)

    async def _call(self, run: str, tool: dict[str, Any], approval: dict[str, Any] | None) -> None:
        arguments = made_for(tool["input_schema"])
        said = await self.peer.use(run, tool["name"], **arguments)
        if said.code == "approval_required":
            # What was proposed is what is asked for: one request, which a human judges elsewhere.
            assert approval is not None
            assert said.approval["request"] == approval["request"]
            await self.room.judge("rita", approval["request"])
            said = await self.peer.use(run, tool["name"], approval["approval_token"], **arguments)
        assert said.code == "done", said


async def test_an_agent_that_knows_only_what_it_is_told_does_a_whole_workflow(room: Room, peer: Peer) -> None:
    effects = len(room.stage.effects())
    newcomer = Newcomer(room, peer)
    said = await newcomer.carry_out("repair")
    assert (said.code, said.body["status"]) == ("done", "done")
    assert list(newcomer.told) == ["read", "classify", "plan", "draft", "execute"]
    assert len(room.stage.effects()) == effects + 1
    # A step's description stays small, whatever else there is.
    assert max(newcomer.told.values()) <= MOST_TOKENS_OF_A_STEP, newcomer.told


async def test_the_desk_and_its_instructions_cost_few_tokens(room: Room, era: str) -> None:
    _, key = await room.agent()
    async with room.peer(key, era) as peer:
        # What a model is told: output schemas are for its client.
        listed = [
            tool.model_dump(mode="json", by_alias=True, include={"name", "description", "input_schema"})
            for tool in await peer.tools()
        ]
        told = peer.client.instructions or ""
    cost = estimate_tokens(json.dumps(listed)) + estimate_tokens(told)
    assert cost <= MOST_TOKENS_OF_THE_DESK, cost
    assert "approval_required" in told


async def test_the_desk_tells_which_workflows_there_are_and_what_opens_each(room: Room, peer: Peer) -> None:
    described = (await peer.tools())[0].description or ""
    for name, workflow in room.house.workflows.items():
        assert f"{name} (input: item_id, request): {workflow.purpose}" in described
