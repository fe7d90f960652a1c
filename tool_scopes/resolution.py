"""What a person decides about a run: resolve the checkpoint that it waits at, or cancel it.

These are acts of people, out of band. The caller has verified who the person is and that they may; here the
run moves.
"""

from __future__ import annotations

from dataclasses import dataclass

from context_store.head import head_release
from ledger.canonical import JsonObject
from ledger.entries import Entry
from ledger.transaction import Transaction
from policies.codes import Denial
from policies.principals import Agent
from tool_scopes.envelope_records import has_submitted, kept_envelope
from tool_scopes.facts import NO_FACTS
from tool_scopes.house import Caller, House
from tool_scopes.retries import forget_retries
from tool_scopes.reviews import Resolution, close_review, find_review
from tool_scopes.runs import OPEN_STATES, Run, enter_step, find_run, set_status
from tool_scopes.standing import Standing
from tool_scopes.submission import go_on, proposal_of
from tool_scopes.workflows import Workflow


class RunRefused(ValueError):
    """A run cannot be moved as asked. The message is one sentence for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where the run stands after the act."""

    run: str
    status: str
    step: str


def resolve_run(
    house: House,
    tx: Transaction,
    tenant: str,
    run_id: str,
    resolution: Resolution,
    *,
    person: str,
    note: str,
    to: str | None = None,
) -> Resolved:
    """Close the review that a run waits at: it goes on as it wanted to, back to a step with a new epoch, or
    ends. `to` is the step that it is sent back to; without it the same one.
    """
    run = run_of_tenant(tx, tenant, run_id)
    review = find_review(tx, run)
    if review is None:
        raise RunRefused(f"Run {run.id} waits at no checkpoint (it is {run.status} at step {run.step}).")
    close_review(tx, run, resolution, person=person, note=note)
    workflow = house.scopes.workflow_of(tx, run)
    forget_retries(tx, workflow, run)
    step = workflow.steps[run.step]
    if resolution == "stop":
        return standing_of(set_status(tx, run, "cancelled", because=note or "stopped at a checkpoint"))
    envelope = kept_envelope(tx, run)
    if resolution == "send_back" or envelope is None:
        # Without an envelope there is nothing to go on from: the step's retries or its time were over before
        # one was accepted.
        return standing_of(_sent_back(tx, run, workflow, to, note))
    opened = set_status(tx, run, "open", because="continued")
    caller = Caller(Agent(id=run.principal, tenant=run.tenant, owner=""))
    standing = Standing(caller, opened, workflow, step, house.scopes.scope(workflow, step))
    carried: JsonObject = {key: envelope.state[key] for key in step.carry if key in envelope.state}
    state: JsonObject = {**run.state, **carried}
    proposal = proposal_of(house, tx, standing, envelope, state)
    if isinstance(proposal, Denial):
        raise RunRefused(
            f"Run {run.id} cannot go on: its proposed action no longer fits; send it back instead."
        )
    # Facts are read outside of transactions; a proposal that needs some is asked for by the step's own call.
    go_on(house, standing, tx, opened, state, review.next, proposal, envelope.reason, NO_FACTS)
    return standing_of(run_of_tenant(tx, tenant, run_id))


def send_back_run(
    house: House, tx: Transaction, tenant: str, run_id: str, *, to: str | None, person: str, note: str
) -> Resolved:
    """Send a run that waits at no checkpoint back to a step that it has been in; without one, to begin its
    step anew.
    """
    run = run_of_tenant(tx, tenant, run_id)
    if run.status not in ("open", "paused"):
        waits = "; resolve it with --send-back" if run.status == "waiting" else ""
        raise RunRefused(f"Run {run.id} is {run.status}{waits}.")
    workflow = house.scopes.workflow_of(tx, run)
    body: JsonObject = {"step": run.step, "epoch": run.epoch, "to": to or run.step, "note": note}
    tx.append(Entry("run.sent_back", run.tenant, body, principal=person, run=run.id))
    return standing_of(_sent_back(tx, run, workflow, to, note))


def _sent_back(tx: Transaction, run: Run, workflow: Workflow, to: str | None, note: str) -> Run:
    """Enter a step again, with the note for whoever does it."""
    step = workflow.steps.get(to or run.step)
    if step is None or (step.name != run.step and not has_submitted(tx, run, step.name)):
        raise RunRefused(f"Run {run.id} has not been in a step {to}; it is at {run.step}.")
    because = f"sent back: {note}"
    return enter_step(
        tx,
        run,
        step,
        state=run.state,
        release=head_release(tx, run.tenant),
        because=because,
        note=note or None,
    )


def cancel_run(tx: Transaction, tenant: str, run_id: str, *, person: str, note: str) -> Resolved:
    """End a run. What was issued for it before is dead; what it has done stays done."""
    run = run_of_tenant(tx, tenant, run_id)
    if run.status not in OPEN_STATES:
        raise RunRefused(f"Run {run.id} has already ended: it is {run.status}.")
    return standing_of(
        set_status(tx, run, "cancelled", because=f"cancelled by {person}: {note}".rstrip(": "))
    )


def run_of_tenant(tx: Transaction, tenant: str, run_id: str) -> Run:
    """The run, if it is the tenant's."""
    run = find_run(tx, run_id)
    if run is None or run.tenant != tenant:
        raise RunRefused(f"There is no run {run_id[:64]}; `bailiwick run list` shows those that there are.")
    return run


def standing_of(run: Run) -> Resolved:
    """Where a run stands, as it is told to the person who moved it."""
    return Resolved(run.id, run.status, run.step)
