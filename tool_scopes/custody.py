"""Custody: who holds a run, and whether it stands still. Acts of people, out of band; the caller has verified
who they are and that they may.

Each opens a new epoch, so that what was issued before is good no longer: passes, requests, approvals. The
step goes on where it was: its state, what it was shown, and what is left of its limits stay.
"""

from __future__ import annotations

from dataclasses import replace

from ledger.canonical import JsonObject
from ledger.entries import Entry
from ledger.transaction import Transaction
from policies.principals import Agent
from tool_scopes.house import House
from tool_scopes.resolution import Resolved, RunRefused, run_of_tenant, standing_of
from tool_scopes.runs import OPEN_STATES, Run, deadline_of, store_run


def pause_run(tx: Transaction, tenant: str, run_id: str, *, person: str, note: str) -> Resolved:
    """Let a run stand still: nothing is read, written or submitted in it until it is resumed."""
    run = run_of_tenant(tx, tenant, run_id)
    if run.status != "open":
        raise RunRefused(f"Run {run.id} is {run.status}; only an open run can be paused.")
    paused = replace(run, status="paused", epoch=run.epoch + 1, deadline_ms=None)
    return standing_of(_changed(tx, paused, "run.paused", {"note": note}, person))


def resume_run(
    house: House, tx: Transaction, tenant: str, run_id: str, *, person: str, note: str
) -> Resolved:
    """Let a paused run go on in its step, whose time begins anew."""
    run = run_of_tenant(tx, tenant, run_id)
    if run.status != "paused":
        raise RunRefused(f"Run {run.id} is {run.status}; only a paused run can be resumed.")
    step = house.scopes.workflow_of(tx, run).steps[run.step]
    resumed = replace(run, status="open", deadline_ms=deadline_of(step, tx.now_ms))
    return standing_of(_changed(tx, resumed, "run.resumed", {"note": note}, person))


def hand_over(
    house: House,
    tx: Transaction,
    tenant: str,
    run_id: str,
    *,
    holder: Agent | None,
    to: Agent,
    person: str,
    claimed: bool,
    note: str,
) -> Resolved:
    """Let agent `to` hold the run from now on; it picks the run up where it stands. `holder` is who has held
    it, None when that agent was revoked.
    """
    run = run_of_tenant(tx, tenant, run_id)
    if run.status not in OPEN_STATES:
        raise RunRefused(f"Run {run.id} has already ended: it is {run.status}.")
    if run.status == "waiting":
        raise RunRefused(
            f"Run {run.id} waits at a checkpoint; resolve it first, for example with `bailiwick run resolve "
            f"{run.id} --send-back`, and hand it over then."
        )
    if run.principal == to.id:
        raise RunRefused(f"Run {run.id} is already held by {to.id}.")
    if to.tenant != run.tenant:
        raise RunRefused(f"Run {run.id} cannot leave its tenant.")
    workflow = house.scopes.workflow_of(tx, run)
    used = {label for step in workflow.steps.values() if step.needs for label in step.needs.labels}
    # What the run was shown under a label stays with it, and whoever holds it can see it again.
    missing = used & (used if holder is None else holder.labels) - to.labels
    if missing:
        raise RunRefused(
            f"{to.id} does not hold the label {min(missing)}, with which {run.principal} may have read for "
            "this run; give it the label with `bailiwick agent labels`, or choose another agent."
        )
    moved = replace(run, principal=to.id, epoch=run.epoch + 1)
    body: JsonObject = {"from": run.principal, "to": to.id, "claimed": claimed, "note": note}
    return standing_of(_changed(tx, moved, "run.handed_over", body, person))


def _changed(tx: Transaction, run: Run, kind: str, body: JsonObject, person: str) -> Run:
    store_run(tx, run)
    told: JsonObject = {"step": run.step, "epoch": run.epoch, **body}
    tx.append(Entry(kind, run.tenant, told, principal=person, run=run.id))
    return run
