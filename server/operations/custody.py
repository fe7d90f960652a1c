"""Custody of runs as operations: pausing, resuming, handing over, claiming and sending back."""

from __future__ import annotations

from pydantic import Field

from ledger.canonical import JsonObject
from policies.agents import agent_by_id
from policies.decisions import administer, judge_approval
from policies.principals import Agent, Person
from server.errors import BadInput, RuleRefused
from server.operations.operation import Operation, OperationDesk
from server.operations.runs import OneRun, moved, run_of
from tool_scopes.custody import hand_over, pause_run, resume_run
from tool_scopes.resolution import send_back_run
from tool_scopes.runs import Run


class NotedRun(OneRun):
    """A run, and why."""

    note: str = Field(default="", max_length=2_000)


class MovedRun(NotedRun):
    """A run, and the agent that holds it from then on."""

    agent: str = Field(max_length=64)


class SendBack(NotedRun):
    """A run, and the step that it is sent back to: without one, to begin its step anew."""

    to: str | None = Field(default=None, max_length=64)


def _pause(desk: OperationDesk, person: Person, given: NotedRun) -> JsonObject:
    run, _ = _in_charge(desk, person, given.run)
    return moved(
        desk.ledger.transact_now(
            lambda tx: pause_run(tx, run.tenant, run.id, person=person.id, note=given.note)
        )
    )


def _resume(desk: OperationDesk, person: Person, given: NotedRun) -> JsonObject:
    run, _ = _in_charge(desk, person, given.run)
    return moved(
        desk.ledger.transact_now(
            lambda tx: resume_run(desk.house, tx, run.tenant, run.id, person=person.id, note=given.note)
        )
    )


def _send_back(desk: OperationDesk, person: Person, given: SendBack) -> JsonObject:
    run, _ = _in_charge(desk, person, given.run)
    return moved(
        desk.ledger.transact_now(
            lambda tx: send_back_run(
                desk.house, tx, run.tenant, run.id, to=given.to, person=person.id, note=given.note
            )
        )
    )


def _hand_over(desk: OperationDesk, person: Person, given: MovedRun) -> JsonObject:
    run, holder = _held(desk, person, given.run)
    if not _owns(person, holder) and not _administers(desk, person, "run.hand_over"):
        raise RuleRefused(f"{person.id} neither owns {run.principal} nor administers; ask its owner.")
    return _moved(desk, person, given, run, holder, claimed=False)


def _claim(desk: OperationDesk, person: Person, given: MovedRun) -> JsonObject:
    run, holder = _held(desk, person, given.run)
    if not _owns(person, _agent(desk, person, given.agent)):
        raise RuleRefused(f"{person.id} does not own {given.agent}; claim runs for an agent of your own.")
    if not (_owns(person, holder) or _judges(desk, person, run) or _administers(desk, person, "run.claim")):
        raise RuleRefused(
            f"{person.id} owns neither agent, reviews nothing and does not administer; ask the owner of "
            f"{run.principal} to hand it over."
        )
    return _moved(desk, person, given, run, holder, claimed=True)


def _moved(
    desk: OperationDesk, person: Person, given: MovedRun, run: Run, holder: Agent | None, *, claimed: bool
) -> JsonObject:
    to = _agent(desk, person, given.agent)
    return moved(
        desk.ledger.transact_now(
            lambda tx: hand_over(
                desk.house,
                tx,
                run.tenant,
                run.id,
                holder=holder,
                to=to,
                person=person.id,
                claimed=claimed,
                note=given.note,
            )
        )
    ) | {"agent": to.id}


def _in_charge(desk: OperationDesk, person: Person, run_id: str) -> tuple[Run, Agent | None]:
    """The run, once it is sure that this person owns its agent, reviews or administers."""
    run, holder = _held(desk, person, run_id)
    if _owns(person, holder) or _judges(desk, person, run) or _administers(desk, person, "run.pause"):
        return run, holder
    raise RuleRefused(
        f"{person.id} does not own {run.principal}, reviews nothing and does not administer; ask its owner "
        "or somebody with the role reviewer."
    )


def _held(desk: OperationDesk, person: Person, run_id: str) -> tuple[Run, Agent | None]:
    run = desk.ledger.read(lambda reading: run_of(reading, person, run_id))
    return run, desk.ledger.read(lambda reading: agent_by_id(reading, run.principal))


def _agent(desk: OperationDesk, person: Person, name: str) -> Agent:
    agent = desk.ledger.read(lambda reading: agent_by_id(reading, name))
    if agent is None or agent.tenant != person.tenant:
        raise BadInput(f"There is no agent {name}; `bailiwick agent list` shows those that there are.")
    return agent


def _owns(person: Person, agent: Agent | None) -> bool:
    return agent is not None and agent.owner in person.identities


def _judges(desk: OperationDesk, person: Person, run: Run) -> bool:
    question = judge_approval(person, run.id, run.tenant, owns_agent=False, four_eyes=False)
    return desk.policies.decide(question).allowed


def _administers(desk: OperationDesk, person: Person, operation: str) -> bool:
    return desk.policies.decide(administer(person, operation, person.tenant)).allowed


OPERATIONS = (
    Operation("run.pause", NotedRun, "reviewer", _pause),
    Operation("run.resume", NotedRun, "reviewer", _resume, "house"),
    Operation("run.hand_over", MovedRun, "reviewer", _hand_over, "house"),
    Operation("run.claim", MovedRun, "reviewer", _claim, "house"),
    Operation("run.send_back", SendBack, "reviewer", _send_back, "house"),
)
