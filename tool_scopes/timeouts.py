"""Steps whose time is over: nothing can be done in them any longer, and the run is led away as it says."""

from __future__ import annotations

from ledger.transaction import Reading, Transaction
from tool_scopes.house import House
from tool_scopes.leaving import lead_away
from tool_scopes.runs import find_run
from tool_scopes.tables import runs

_AT_ONCE = 100


def overdue(reading: Reading, now_ms: int) -> list[str]:
    """Open runs whose step's time is over, the longest ago first."""
    c = runs.c
    query = runs.select().with_only_columns(c.id).where(c.status == "open", c.deadline_ms <= now_ms)
    return [row.id for row in reading.all(query.order_by(c.deadline_ms).limit(_AT_ONCE))]


def end_overdue(house: House, tx: Transaction, *, only: str | None = None) -> list[str]:
    """Lead every overdue run away from its step, or only that one; gives the ids of those that moved."""
    moved: list[str] = []
    for run_id in overdue(tx, tx.now_ms) if only is None else [only]:
        run = find_run(tx, run_id)
        if run is None or not run.is_overdue(tx.now_ms):
            continue
        workflow = house.scopes.workflow_of(tx, run)
        minutes = workflow.steps[run.step].limits.minutes
        lead_away(tx, run, workflow, "timeout", f"the {minutes} minutes of step {run.step} are over")
        moved.append(run.id)
    return moved
