"""Opening a run: the input is judged, and one idempotency key opens one run however often it is sent."""

from __future__ import annotations

from functools import partial

from context_store.head import head_release
from ledger.canonical import CanonicalError, JsonObject, canonical
from ledger.transaction import Transaction
from policies.codes import Denial
from policies.decisions import open_run as may_open_run
from policies.gate_state import freeze_denial, read_gate
from tool_scopes.house import Answer, Caller, House
from tool_scopes.refusals import Refused, refusal_entry, refuse
from tool_scopes.runs import OPEN_STATES, input_digest, insert_run
from tool_scopes.steps import describe_step
from tool_scopes.workflows import Workflow


async def open_run(
    house: House, caller: Caller, name: str, given: JsonObject, key: str | None, *, trigger: str = "mcp"
) -> Answer | Refused:
    """Open a run of workflow `name`, or give back the run that `key` opened before with the same input."""
    workflow = house.workflows.get(name)
    if workflow is None:
        known = ", ".join(sorted(house.workflows)) or "none"
        return await _refuse(house, caller, f"there is no workflow {name[:64]}; there is: {known}")
    wrong = next(iter(workflow.input_validator.iter_errors(given)), None)
    if wrong is not None:
        where = ".".join(["input", *(str(part) for part in wrong.instance_path)])
        return await _refuse(house, caller, f"{where}: {wrong.message[:300]}")
    try:
        canonical(given)
    except CanonicalError as error:
        return await _refuse(house, caller, f"input: {error}")
    decision = house.policies.decide(may_open_run(caller.agent, workflow.name, caller.agent.tenant))
    if not decision.allowed:
        return await refuse(house, caller, None, "open_run", Denial("policy_denied", reason=decision.reason))
    return await house.ledger.transact(partial(_open, house, caller, workflow, given, key, trigger))


def _open(
    house: House,
    caller: Caller,
    workflow: Workflow,
    given: JsonObject,
    key: str | None,
    trigger: str,
    tx: Transaction,
) -> Answer | Refused:
    gate = read_gate(tx)
    denial = freeze_denial(gate, caller.agent.id) or house.outdated(gate)
    if denial is not None:
        tx.append(refusal_entry(caller, None, "open_run", denial))
        return Refused(denial)
    run = insert_run(
        tx,
        tenant=caller.agent.tenant,
        principal=caller.agent.id,
        workflow=workflow,
        given=given,
        key=key,
        release=head_release(tx, caller.agent.tenant),
        trigger=trigger,
    )
    if run.input_digest != input_digest(given):
        denial = Denial(
            "invalid_arguments",
            reason=f"the key already opened {run.id} with another input",
            detail={"why": "This idempotency_key opened a run with another input; use another key."},
        )
        tx.append(refusal_entry(caller, run.id, "open_run", denial))
        return Refused(denial)
    body: JsonObject = {"run": run.id, "status": run.status}
    if run.status in OPEN_STATES and run.principal == caller.agent.id:
        # After a hand-over its opener still learns that the run is there, and no more.
        body["current_step"] = describe_step(house, run, house.scopes.workflow_of(tx, run))
    return Answer("done", body)


async def _refuse(house: House, caller: Caller, why: str) -> Refused:
    return await refuse(
        house, caller, None, "open_run", Denial("invalid_arguments", reason=why, detail={"why": why})
    )
