"""Runs: one execution of a workflow, with its owner, its current step and its epoch.

The epoch rises whenever what was issued before must die: at a step change, a send-back, a cancellation. State
is carried between steps by name, never as a transcript, so that another agent or server can pick a run up
where it stands.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, cast

from ledger.canonical import JsonObject, canonical, digest
from ledger.entries import Entry
from ledger.ids import new_id
from ledger.statements import fixed, param
from ledger.transaction import Reading, Transaction
from policies.codes import Denial
from tool_scopes.tables import runs, workflow_versions
from tool_scopes.workflows import Step, Workflow

OPEN_STATES = frozenset({"open", "waiting", "paused"})
"""The states of a run that has not ended."""

_BY_ID = fixed(runs.select().where(runs.c.id == param("run")))


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it stands. `state` is the input and whatever the finished steps carried; `release` is pinned
    at step entry.

    `principal` holds the run now, `opened_by` opened it. Limits are counted from `entered_epoch`, when the
    step was entered; `deadline_ms` is when its time is over; `note` is what a person wrote when they sent the
    run back.
    """

    id: str
    tenant: str
    principal: str
    opened_by: str
    workflow: str
    workflow_digest: str
    input_digest: str
    state: JsonObject
    step: str
    epoch: int
    entered_epoch: int
    status: str
    retries: int
    calls: int
    deadline_ms: int | None
    note: str | None
    release: int
    opened_ms: int

    def is_overdue(self, now_ms: int) -> bool:
        """Whether the time of the current step is over. Only an open step has time to lose."""
        return self.status == "open" and self.deadline_ms is not None and now_ms >= self.deadline_ms


def at_rest_denial(run: Run, now_ms: int) -> Denial | None:
    """Why nothing that moves the run, or the world, may be done in its step now; None when it may."""
    if run.status != "open":
        return Denial("checkpoint_open", reason=f"run {run.id} is {run.status} at step {run.step}")
    if run.is_overdue(now_ms):
        return Denial("step_closed", reason=f"the time of step {run.step} is over")
    return None


def find_run(reading: Reading, run_id: str) -> Run | None:
    """The run of that id, whoever it belongs to: the caller checks the standing."""
    row = reading.one(_BY_ID, {"run": run_id})
    return None if row is None else _run_of_row(row)


def insert_run(
    tx: Transaction,
    *,
    tenant: str,
    principal: str,
    workflow: Workflow,
    given: JsonObject,
    key: str | None,
    release: int,
    trigger: str,
) -> Run:
    """Open a run at the workflow's first step, or give back the one that this key opened before.

    The caller compares `input_digest` with its own: one key names one input.
    """
    if key is not None:
        same_key = runs.select().where(
            runs.c.tenant == tenant,
            runs.c.opened_by == principal,
            runs.c.workflow == workflow.name,
            runs.c.idempotency_key == key,
        )
        existing = tx.one(same_key)
        if existing is not None:
            return _run_of_row(existing)
    if tx.one(workflow_versions.select().where(workflow_versions.c.digest == workflow.digest)) is None:
        version = {"digest": workflow.digest, "name": workflow.name, "source": workflow.source}
        tx.execute(workflow_versions.insert(), version)
    run = Run(
        id=new_id("run", tx.now_ms),
        tenant=tenant,
        principal=principal,
        opened_by=principal,
        workflow=workflow.name,
        workflow_digest=workflow.digest,
        input_digest=input_digest(given),
        state=given,
        step=workflow.start,
        epoch=1,
        entered_epoch=1,
        status="open",
        retries=0,
        calls=0,
        deadline_ms=deadline_of(workflow.steps[workflow.start], tx.now_ms),
        note=None,
        release=release,
        opened_ms=tx.now_ms,
    )
    text = canonical(given).decode()
    fixed_for_good = {
        "id": run.id,
        "tenant": tenant,
        "opened_by": principal,
        "workflow": workflow.name,
        "workflow_digest": workflow.digest,
        "idempotency_key": key,
        "input_digest": run.input_digest,
        "input": text,
        "opened_ms": tx.now_ms,
    }
    tx.execute(runs.insert(), {**fixed_for_good, **_standing(run, tx.now_ms)})
    opened: JsonObject = {
        "workflow": workflow.name,
        "version": workflow.version,
        "digest": workflow.digest,
        "trigger": trigger,
        "input": run.input_digest,
    }
    tx.append(Entry("run.opened", tenant, opened, principal=principal, run=run.id))
    tx.append(_entered(run, workflow.steps[run.step]))
    return run


def enter_step(
    tx: Transaction,
    run: Run,
    step: Step,
    *,
    state: JsonObject,
    release: int,
    because: str,
    note: str | None = None,
) -> Run:
    """Move a run to `step` in a new epoch, with the newest release pinned and its limits whole. The caller
    has checked that it may move.
    """
    moved = replace(
        run,
        state=state,
        step=step.name,
        epoch=run.epoch + 1,
        entered_epoch=run.epoch + 1,
        status="open",
        retries=0,
        calls=0,
        deadline_ms=deadline_of(step, tx.now_ms),
        note=note,
        release=release,
    )
    store_run(tx, moved)
    tx.append(_entered(moved, step, because))
    return moved


def deadline_of(step: Step, now_ms: int) -> int | None:
    """When the time of a step that is entered now is over; None when it has all the time there is."""
    return None if step.limits.minutes is None else now_ms + step.limits.minutes * 60_000


def set_status(tx: Transaction, run: Run, status: str, *, because: str) -> Run:
    """Change a run's status. A run that ends rises in epoch, so that nothing issued for it is good any
    longer.
    """
    ended = status not in OPEN_STATES
    changed = replace(run, status=status, epoch=run.epoch + 1 if ended else run.epoch)
    store_run(tx, changed)
    if ended:
        body: JsonObject = {"status": status, "because": because}
        tx.append(Entry("run.closed", run.tenant, body, principal=run.principal, run=run.id))
    return changed


def pin_release(tx: Transaction, run: Run, release: int) -> Run:
    """Let the run's current step read a newer release. Everything else stays, its epoch and limits too."""
    pinned = replace(run, release=release)
    store_run(tx, pinned)
    return pinned


def count_retry(tx: Transaction, run: Run) -> Run:
    """Note one refused envelope of the current step."""
    counted = replace(run, retries=run.retries + 1)
    store_run(tx, counted)
    return counted


def count_call(tx: Transaction, run: Run) -> Run:
    """Note one call of a tool of the current step that is about to be sent."""
    counted = replace(run, calls=run.calls + 1)
    store_run(tx, counted)
    return counted


def input_digest(given: JsonObject) -> str:
    """Tells whether two openings under one idempotency key ask for the same thing."""
    return digest("bailiwick-run-input-v1", given)


def _entered(run: Run, step: Step, because: str = "opened") -> Entry:
    body: JsonObject = {
        "step": step.name,
        "kind": step.kind.value,
        "epoch": run.epoch,
        "release": run.release,
        "because": because,
    }
    return Entry("step.entered", run.tenant, body, principal=run.principal, run=run.id)


def store_run(tx: Transaction, run: Run) -> None:
    """Write a run down as it stands now. What is said of the change in the log is the caller's matter."""
    tx.execute(runs.update().where(runs.c.id == run.id).values(**_standing(run, tx.now_ms)))


def _standing(run: Run, now_ms: int) -> dict[str, Any]:
    """The columns of a run that change."""
    return {
        "principal": run.principal,
        "state": canonical(run.state).decode(),
        "step": run.step,
        "epoch": run.epoch,
        "entered_epoch": run.entered_epoch,
        "status": run.status,
        "retries": run.retries,
        "calls": run.calls,
        "deadline_ms": run.deadline_ms,
        "note": run.note,
        "release": run.release,
        "changed_ms": now_ms,
    }


def _run_of_row(row: Any) -> Run:
    return Run(
        id=row.id,
        tenant=row.tenant,
        principal=row.principal,
        opened_by=row.opened_by,
        workflow=row.workflow,
        workflow_digest=row.workflow_digest,
        input_digest=row.input_digest,
        state=cast(JsonObject, json.loads(row.state)),
        step=row.step,
        epoch=row.epoch,
        entered_epoch=row.entered_epoch,
        status=row.status,
        retries=row.retries,
        calls=row.calls,
        deadline_ms=row.deadline_ms,
        note=row.note,
        release=row.release,
        opened_ms=row.opened_ms,
    )
