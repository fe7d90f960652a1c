"""Standing: where a caller stands when it acts, decided once and the same way for a list and for a call.

Another's run, a run that does not exist and a run of another workflow are the same answer. A stale epoch is
`step_closed`.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.clock import system_now_ms
from ledger.transaction import Reading
from policies.codes import Denial
from tool_scopes.house import Caller, House
from tool_scopes.runs import OPEN_STATES, Run, find_run
from tool_scopes.scopes import Scope
from tool_scopes.workflows import Step, Workflow


@dataclass(frozen=True, slots=True)
class Standing:
    """A caller in the current step of a run of its own, and the scope of that step."""

    caller: Caller
    run: Run
    workflow: Workflow
    step: Step
    scope: Scope


def stand(
    house: House, reading: Reading, caller: Caller, run_id: str | None, *, at_rest: bool = False
) -> Standing | Denial:
    """Where `caller` stands in the run that its credential or its `run_id` names. `at_rest` is for whoever
    only asks where the run is, also while it is paused or its step's time is over.

    A pass names its run itself; naming another one beside it is the same answer as naming one that is not
    there.
    """
    run = _own_run(reading, caller, run_id)
    if isinstance(run, Denial):
        return run
    if caller.workflow is not None and caller.workflow != run.workflow:
        return Denial(
            "unknown_tool", reason=f"run {run.id} is of workflow {run.workflow}, not {caller.workflow}"
        )
    if run.status not in OPEN_STATES:
        return Denial("step_closed", reason=f"run {run.id} is {run.status}")
    if caller.epoch is not None and caller.epoch != run.epoch:
        return Denial("step_closed", reason=f"the pass is of epoch {caller.epoch}, the run is at {run.epoch}")
    if caller.step is not None and caller.step != run.step:
        return Denial("step_closed", reason=f"the caller is at step {caller.step}, the run is at {run.step}")
    if run.status == "paused" and not at_rest:
        return Denial("checkpoint_open", reason=f"run {run.id} is paused at step {run.step}")
    if run.is_overdue(system_now_ms()) and not at_rest:
        return Denial("step_closed", reason=f"the time of step {run.step} is over")
    workflow = house.scopes.workflow_of(reading, run)
    step = workflow.steps[run.step]
    return Standing(caller, run, workflow, step, house.scopes.scope(workflow, step))


def calls_exhausted(standing: Standing, run: Run) -> Denial | None:
    """Why no further call of the step's tools may be sent; None when it may."""
    limit = standing.step.limits.calls
    if limit is None or run.calls < limit:
        return None
    return Denial("policy_denied", reason=f"step {run.step} has had all of its {limit} calls")


def _own_run(reading: Reading, caller: Caller, run_id: str | None) -> Run | Denial:
    named = caller.run if run_id is None else run_id
    if named is None:
        why = "`run_id` is missing: say which run is meant, as open_run gave it."
        return Denial("invalid_arguments", reason=why, detail={"why": why})
    if caller.run is not None and named != caller.run:
        return Denial("unknown_tool", reason=f"the pass is of run {caller.run}, not {named[:64]}")
    run = find_run(reading, named)
    if run is None:
        return Denial("unknown_tool", reason=f"there is no run {named[:64]}")
    agent = caller.agent
    if (run.tenant, run.principal) != (agent.tenant, agent.id):
        return Denial("unknown_tool", reason=f"run {run.id} belongs to {run.principal} of {run.tenant}")
    return run
