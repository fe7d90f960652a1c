"""Runs as operations: opening one for an agent, looking at them, and what a person decides about one that
waits.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

from pydantic import Field

from context_store.shown import showings
from ledger.canonical import JsonObject, JsonValue
from ledger.clock import rfc3339
from ledger.entries import StoredEntry
from ledger.transaction import Reading
from policies.agents import agent_by_id
from policies.decisions import administer, judge_approval
from policies.people import is_single_handed
from policies.principals import Agent, Person
from server.errors import BadInput, RuleRefused
from server.operations.operation import Arguments, Operation, OperationDesk
from tool_scopes.house import Caller
from tool_scopes.opening import open_run
from tool_scopes.refusals import Refused
from tool_scopes.resolution import Resolved, cancel_run, resolve_run
from tool_scopes.reviews import find_review
from tool_scopes.runs import OPEN_STATES, Run, find_run
from tool_scopes.tables import executions, runs


class OpenRun(Arguments):
    """A run to be opened for an agent, as the agent itself would."""

    workflow: str = Field(max_length=64)
    agent: str = Field(max_length=64)
    input: dict[str, Any] = Field(default_factory=dict[str, Any])
    idempotency_key: str | None = Field(default=None, min_length=1, max_length=200)


class ListRuns(Arguments):
    """Which runs: those that are open or wait, or all; the newest first."""

    all: bool = False
    limit: int = Field(default=100, ge=1, le=1_000)


class OneRun(Arguments):
    """A run by its id."""

    run: str = Field(max_length=64)


class ResolveRun(OneRun):
    """What follows from a person's look at a checkpoint."""

    resolution: Literal["continue", "send_back", "stop"]
    to: str | None = Field(default=None, max_length=64)
    note: str = Field(default="", max_length=2_000)


class CancelRun(OneRun):
    """Why a run ends."""

    note: str = Field(default="", max_length=2_000)


def run_of(reading: Reading, person: Person, run_id: str) -> Run:
    """A run of the person's tenant; `BadInput` when there is none."""
    run = find_run(reading, run_id)
    if run is None or run.tenant != person.tenant:
        raise BadInput(f"There is no run {run_id}; `bailiwick run list` shows those that there are.")
    return run


def _open(desk: OperationDesk, person: Person, given: OpenRun) -> JsonObject:
    agent = desk.ledger.read(lambda reading: agent_by_id(reading, given.agent))
    if agent is None or agent.tenant != person.tenant:
        raise BadInput(f"There is no agent {given.agent}; `bailiwick agent list` shows those that there are.")
    if agent.owner not in person.identities:
        decision = desk.policies.decide(administer(person, "run.open", person.tenant))
        if not decision.allowed:
            raise RuleRefused(f"{person.id} neither owns {agent.id} nor administers; ask {agent.owner}.")
    opening = partial(open_run, trigger="cli")
    outcome = desk.wait(
        opening, desk.house, Caller(agent), given.workflow, given.input, given.idempotency_key
    )
    if isinstance(outcome, Refused):
        denial = outcome.denial
        if denial.code == "invalid_arguments":
            raise BadInput(f"The run was not opened: {denial.reason}.")
        raise RuleRefused(f"The run was not opened ({denial.code}): {denial.reason}.")
    return {"run": outcome.body["run"], "status": outcome.body["status"]}


def _list(desk: OperationDesk, person: Person, given: ListRuns) -> JsonObject:
    c = runs.c
    query = runs.select().where(c.tenant == person.tenant)
    if not given.all:
        query = query.where(c.status.in_(sorted(OPEN_STATES)))
    rows = desk.ledger.read(
        lambda reading: reading.all(query.order_by(c.opened_ms.desc(), c.id.desc()).limit(given.limit))
    )
    return {
        "runs": [
            {
                "run": row.id,
                "workflow": row.workflow,
                "step": row.step,
                "status": row.status,
                "agent": row.principal,
                "opened": rfc3339(row.opened_ms),
                "changed": rfc3339(row.changed_ms),
            }
            for row in rows
        ]
    }


def _show(desk: OperationDesk, person: Person, given: OneRun) -> JsonObject:
    def look(reading: Reading) -> JsonObject:
        run = run_of(reading, person, given.run)
        review = find_review(reading, run)
        rows = reading.all(
            executions.select().where(executions.c.run == run.id).order_by(executions.c.begun_ms)
        )
        return {
            **_run(run),
            "waits_because": [] if review is None else list[JsonValue](review.reasons),
            "bundles": [
                {"bundle": shown.bundle, "step": shown.step, "sufficiency": shown.sufficiency}
                for shown in showings(reading, run.id)
            ],
            "executions": [
                {"execution": row.id, "tool": row.tool, "target": row.target, "state": row.state}
                for row in rows
            ],
        }

    return desk.ledger.read(look)


def _trace(desk: OperationDesk, person: Person, given: OneRun) -> JsonObject:
    run = desk.ledger.read(lambda reading: run_of(reading, person, given.run))
    entries = [_entry(entry) for entry in desk.ledger.entries(run=run.id)]
    alone = desk.ledger.read(is_single_handed)
    return {**_run(run), "single_handed": alone, "entries": list[JsonValue](entries)}


def _resolve(desk: OperationDesk, person: Person, given: ResolveRun) -> JsonObject:
    if given.to is not None and given.resolution != "send_back":
        raise BadInput("`to` names the step that a run is sent back to; say --send-back with it.")
    run = _judged(desk, person, given.run)
    return moved(
        desk.ledger.transact_now(
            lambda tx: resolve_run(
                desk.house,
                tx,
                run.tenant,
                run.id,
                given.resolution,
                person=person.id,
                note=given.note,
                to=given.to,
            )
        )
    )


def _cancel(desk: OperationDesk, person: Person, given: CancelRun) -> JsonObject:
    run = _judged(desk, person, given.run)
    return moved(
        desk.ledger.transact_now(
            lambda tx: cancel_run(tx, run.tenant, run.id, person=person.id, note=given.note)
        )
    )


def _judged(desk: OperationDesk, person: Person, run_id: str) -> Run:
    """The run, once the gate has said that this person may judge it: four eyes are for approvals, not for
    this.
    """

    def look(reading: Reading) -> tuple[Run, Agent | None]:
        run = run_of(reading, person, run_id)
        return run, agent_by_id(reading, run.principal)

    run, agent = desk.ledger.read(look)
    owns = agent is not None and agent.owner in person.identities
    decision = desk.policies.decide(
        judge_approval(person, run.id, run.tenant, owns_agent=owns, four_eyes=False)
    )
    if not decision.allowed:
        raise RuleRefused(
            f"{person.id} may not judge runs: {decision.reason}; ask somebody with the role reviewer."
        )
    return run


def _run(run: Run) -> JsonObject:
    return {
        "run": run.id,
        "workflow": run.workflow,
        "step": run.step,
        "epoch": run.epoch,
        "status": run.status,
        "agent": run.principal,
        "release": run.release,
        "retries": run.retries,
        "calls": run.calls,
        "opened_by": run.opened_by,
        "until": None if run.deadline_ms is None else rfc3339(run.deadline_ms),
        "note": run.note,
        "opened": rfc3339(run.opened_ms),
        "state": run.state,
    }


def _entry(entry: StoredEntry) -> JsonObject:
    return {
        "seq": entry.seq,
        "at": rfc3339(entry.at_ms),
        "kind": entry.kind,
        "who": entry.principal,
        "body": entry.body,
        "rests_on": [list[JsonValue](edge) for edge in entry.rests_on],
    }


def moved(resolved: Resolved) -> JsonObject:
    """Where the run stands after an act of a person."""
    return {"run": resolved.run, "status": resolved.status, "step": resolved.step}


OPERATIONS = (
    Operation("run.open", OpenRun, "person", _open, "house"),
    Operation("run.list", ListRuns, "person", _list, logged=False),
    Operation("run.show", OneRun, "person", _show, logged=False),
    Operation("run.trace", OneRun, "person", _trace, logged=False),
    Operation("run.resolve", ResolveRun, "reviewer", _resolve, "house"),
    Operation("run.cancel", CancelRun, "reviewer", _cancel),
)
