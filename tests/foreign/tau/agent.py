"""A scripted agent that knows a task's calls and walks the workflow to the step that has each one's tool."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.foreign.tau.database import Document
from tests.foreign.tau.domains import Domain
from tests.foreign.tau.office import Office
from tests.foreign.tau.published import GoldCall
from tests.rooms.peers import Peer, Said


@dataclass(slots=True)
class Agent:
    """One run of one task. `step` is where it stands, `about` what it has named to the run so far."""

    office: Office
    peer: Peer
    workflow: str
    run: str
    step: str
    user_id: str
    about: Document = field(default_factory=dict[str, Any])

    @classmethod
    async def open(cls, office: Office, peer: Peer, workflow: str, task: list[GoldCall]) -> Agent:
        """Open a run of a workflow for a task's customer, and stand in its first step."""
        domain, user_id = office.domain, user_of(office, task)
        given: Document = {"request": task_in_words(task)}
        if domain.name == "airline":
            given["user_id"] = user_id
        if workflow != domain.name:
            given[domain.subject] = next(iter(subjects_of(domain, task)), "none")
        opened = await peer.call("open_run", workflow=workflow, input=given)
        assert opened.code == "done", opened
        step = str(opened.body["current_step"]["step"])
        return cls(office, peer, workflow, str(opened.body["run"]), step, user_id)

    @classmethod
    async def begin(cls, office: Office, peer: Peer, task: list[GoldCall]) -> Agent:
        """Open the task's run, read the policy that its first step shows, and quote from it at its end."""
        agent = await cls.open(office, peer, workflow_of(office.domain, task), task)
        shown = await peer.call("read_context", run_id=agent.run)
        assert shown.code == "done", shown
        return agent

    async def go(self, step: str) -> None:
        """Submit steps until the run stands in `step`."""
        hub = "look"
        if self.step == step:
            return
        if self.step != hub:
            await self._submit(hub)
        if step != hub:
            await self._submit(step)

    async def make(self, call: GoldCall) -> Said:
        """Make a call where its tool is; a write with the approval that it needs."""
        domain = self.office.domain
        if domain.subject in call.arguments:
            self.about = {domain.subject: call.arguments[domain.subject]}
        write = domain.writes.get(call.tool)
        # Another order than the one that the run has named is named first.
        await self.go("look" if write is not None and self.step == write.step else self.step)
        await self.go(step_of(call, domain))
        bound = domain.bound_in(call.tool, self.workflow)
        sent = {name: value for name, value in call.arguments.items() if name != bound}
        name = domain.view_of(call, self.workflow)
        said = await self.peer.use(self.run, name, **sent)
        if write is None:
            assert said.code == "done", said
            return said
        assert said.code == "approval_required", said
        await self.office.approve(said.approval["request"])
        done = await self.peer.use(self.run, name, said.token, **sent)
        assert done.code == ("failed" if call.is_error else "done"), done
        return done

    async def finish(self) -> None:
        """Leave the run where a human can see that it has ended."""
        ended = await self._send(None, status="failed")
        assert ended.body["status"] == "failed", ended

    async def _submit(self, step: str) -> None:
        moved = await self._send(step)
        assert moved.body.get("status") == "open", moved
        self.step = step

    async def _send(self, step: str | None, **changes: object) -> Said:
        state = {"user_id": self.user_id} if self.step == "identify" else self.about
        return await self.peer.submit(self.run, self.step, next=step, state=state, **changes)


def workflow_of(domain: Domain, task: list[GoldCall]) -> str:
    """The workflow for a task: about one order or reservation from the start, if there is only one."""
    one = domain.subject.removesuffix("_id")
    return f"{domain.name}_{one}" if len(subjects_of(domain, task)) == 1 else domain.name


def step_of(call: GoldCall, domain: Domain) -> str:
    """The step whose scope has a call's tool."""
    write = domain.writes.get(call.tool)
    if write is not None:
        return write.step
    return "identify" if call.tool.startswith("find_user_id_by_") else "look"


def subjects_of(domain: Domain, task: list[GoldCall]) -> set[str]:
    """The orders or reservations that a task's calls name."""
    return {str(call.arguments[domain.subject]) for call in task if domain.subject in call.arguments}


def user_of(office: Office, task: list[GoldCall]) -> str:
    """Whose task it is: as its calls say, else whose order or reservation they name."""
    for call in task:
        if "user_id" in call.arguments:
            return str(call.arguments["user_id"])
    for subject in sorted(subjects_of(office.domain, task)):
        owner = office.owner_of(subject)
        if owner is not None:
            return owner
    return "nobody_0000"


def task_in_words(task: list[GoldCall]) -> str:
    """What the evidence is asked for: the policy on what the task does."""
    tools = " ".join(dict.fromkeys(call.tool.replace("_", " ") for call in task))
    return f"What is the policy to {tools}?"
