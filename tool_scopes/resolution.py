"""What a person decides about a run: resolve the checkpoint that it waits at, or cancel it.

These are acts of people, out of band. The caller has verified who the person is and that they may; here the
run moves.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.canonical import JsonObject
from ledger.transaction import Transaction
from policies.codes import Denial
from policies.principals import Agent
from tool_scopes.envelope_records import kept_envelope
from tool_scopes.facts import NO_FACTS
from tool_scopes.house import Caller, House
from tool_scopes.reviews import Resolution, close_review, find_review
from tool_scopes.runs import OPEN_STATES, Run, enter_step, find_run, set_status
from tool_scopes.standing import Standing
from tool_scopes.submission import go_on, proposal_of


class RunRefused(ValueError):
    """A run cannot be moved as asked. The message is one sentence for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where the run stands after the act."""

    run: str
    status: str
    step: str


def resolve_run(
    house: House, tx: Transaction, tenant: str, run_id: str, resolution: Resolution, *, person: str, note: str
) -> Resolved:
    """Close the review that a run waits at: it goes on, back to the same step with a new epoch, or ends."""
    run = _run_of_tenant(tx, tenant, run_id)
    review = find_review(tx, run)
    if review is None:
        raise RunRefused(f"Run {run.id} waits at no checkpoint (it is {run.status} at step {run.step}).")
    close_review(tx, run, resolution, person=person, note=note)
    workflow = house.scopes.workflow_of(tx, run)
    step = workflow.steps[run.step]
    if resolution == "stop":
        return _standing_of(set_status(tx, run, "cancelled", because=note or "stopped at a checkpoint"))
    envelope = kept_envelope(tx, run)
    if resolution == "send_back" or envelope is None:
        # Without an envelope there is nothing to go on from: the step's retries were exhausted before one was
        # accepted.
        back = enter_step(tx, run, step, state=run.state, release=run.release, because=f"sent back: {note}")
        return _standing_of(back)
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
    go_on(house, standing, tx, opened, state, None, proposal, envelope.reason, NO_FACTS)
    return _standing_of(_run_of_tenant(tx, tenant, run_id))


def cancel_run(tx: Transaction, tenant: str, run_id: str, *, person: str, note: str) -> Resolved:
    """End a run. What was issued for it before is dead; what it has done stays done."""
    run = _run_of_tenant(tx, tenant, run_id)
    if run.status not in OPEN_STATES:
        raise RunRefused(f"Run {run.id} has already ended: it is {run.status}.")
    return _standing_of(
        set_status(tx, run, "cancelled", because=f"cancelled by {person}: {note}".rstrip(": "))
    )


def _run_of_tenant(tx: Transaction, tenant: str, run_id: str) -> Run:
    run = find_run(tx, run_id)
    if run is None or run.tenant != tenant:
        raise RunRefused(f"There is no run {run_id[:64]}; `bailiwick run list` shows those that there are.")
    return run


def _standing_of(run: Run) -> Resolved:
    return Resolved(run.id, run.status, run.step)
