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
from tool_scopes.tables import runs, workflow_versions
from tool_scopes.workflows import Step, Workflow

OPEN_STATES = frozenset({"open", "waiting"})

_BY_ID = fixed(runs.select().where(runs.c.id == param("run")))


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it stands. `state` is the input and whatever the finished steps carried; `release` is pinned
    at step entry.
    """

    id: str
    tenant: str
    principal: str
    workflow: str
    workflow_digest: str
    input_digest: str
    state: JsonObject
    step: str
    epoch: int
    status: str
    retries: int
    release: int
    opened_ms: int


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
            runs.c.principal == principal,
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
        workflow=workflow.name,
        workflow_digest=workflow.digest,
        input_digest=input_digest(given),
        state=given,
        step=workflow.start,
        epoch=1,
        status="open",
        retries=0,
        release=release,
        opened_ms=tx.now_ms,
    )
    text = canonical(given).decode()
    tx.execute(
        runs.insert(),
        {
            "id": run.id,
            "tenant": tenant,
            "principal": principal,
            "workflow": workflow.name,
            "workflow_digest": workflow.digest,
            "idempotency_key": key,
            "input_digest": run.input_digest,
            "input": text,
            "state": text,
            "step": run.step,
            "epoch": 1,
            "status": "open",
            "retries": 0,
            "release": release,
            "opened_ms": tx.now_ms,
            "changed_ms": tx.now_ms,
        },
    )
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
    tx: Transaction, run: Run, step: Step, *, state: JsonObject, release: int, because: str
) -> Run:
    """Move a run to `step` in a new epoch, with the newest release pinned. The caller has checked that it may
    move.
    """
    moved = replace(
        run, state=state, step=step.name, epoch=run.epoch + 1, status="open", retries=0, release=release
    )
    _store(tx, run, moved)
    tx.append(_entered(moved, step, because))
    return moved


def set_status(tx: Transaction, run: Run, status: str, *, because: str) -> Run:
    """Change a run's status. A run that ends rises in epoch, so that nothing issued for it is good any
    longer.
    """
    ended = status not in OPEN_STATES
    changed = replace(run, status=status, epoch=run.epoch + 1 if ended else run.epoch)
    _store(tx, run, changed)
    if ended:
        body: JsonObject = {"status": status, "because": because}
        tx.append(Entry("run.closed", run.tenant, body, principal=run.principal, run=run.id))
    return changed


def pin_release(tx: Transaction, run: Run, release: int) -> Run:
    """Let the run's current step read a newer release. Everything else stays, its epoch and limits too."""
    pinned = replace(run, release=release)
    _store(tx, run, pinned)
    return pinned


def count_retry(tx: Transaction, run: Run) -> Run:
    """Note one refused envelope of the current step."""
    counted = replace(run, retries=run.retries + 1)
    _store(tx, run, counted)
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


def _store(tx: Transaction, before: Run, after: Run) -> None:
    tx.execute(
        runs.update()
        .where(runs.c.id == before.id)
        .values(
            state=canonical(after.state).decode(),
            step=after.step,
            epoch=after.epoch,
            status=after.status,
            retries=after.retries,
            release=after.release,
            changed_ms=tx.now_ms,
        )
    )


def _run_of_row(row: Any) -> Run:
    return Run(
        id=row.id,
        tenant=row.tenant,
        principal=row.principal,
        workflow=row.workflow,
        workflow_digest=row.workflow_digest,
        input_digest=row.input_digest,
        state=cast(JsonObject, json.loads(row.state)),
        step=row.step,
        epoch=row.epoch,
        status=row.status,
        retries=row.retries,
        release=row.release,
        opened_ms=row.opened_ms,
    )
