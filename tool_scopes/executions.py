"""Executions: one frame of one write, from `begun` to its outcome.

An execution is begun in the transaction that redeems its approval. `failed` says that nothing happened for
certain; whatever is not certain is `in_doubt`, stays with a human and is never run again by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ledger.canonical import JsonObject
from ledger.entries import Entry, RestsOn
from ledger.ids import new_id
from ledger.statements import fixed, param
from ledger.transaction import Reading, Transaction
from policies.approvals import settle_request
from policies.settlements import SignedSettlement
from tool_scopes.catalogue import View
from tool_scopes.runs import Run
from tool_scopes.tables import executions
from tool_scopes.upstream.tools import UpstreamFailure, UpstreamResult

Outcome = Literal["succeeded", "failed", "in_doubt"]
UNFINISHED = ("executing", "in_doubt")

_BEGIN = fixed(executions.insert())
_UNFINISHED_ON = fixed(
    executions.select().where(
        executions.c.tenant == param("of_tenant"),
        executions.c.upstream == param("at"),
        executions.c.target == param("on"),
        executions.c.state.in_(UNFINISHED),
    )
)
_COUNTED = fixed(
    executions.select()
    .with_only_columns(executions.c.id)
    .where(
        executions.c.run == param("of_run"),
        executions.c.epoch >= param("since_epoch"),
        executions.c.state != "failed",
    )
)
_SUCCEEDED = fixed(
    executions.select()
    .with_only_columns(executions.c.id)
    .where(
        executions.c.run == param("of_run"),
        executions.c.epoch >= param("since_epoch"),
        executions.c.state == "succeeded",
    )
)
_SETTLING = (
    executions.update()
    .where(executions.c.id == param("execution"), executions.c.state.in_(UNFINISHED))
    .values(state=param("outcome"), settled_ms=param("now_ms"))
    .returning(executions)
)
_SETTLE = fixed(_SETTLING)
_LEAVE_IN_DOUBT = fixed(_SETTLING.where(executions.c.state == "executing"))
_FREE = fixed(_SETTLING.where(executions.c.state == "in_doubt"))
_BY_ID = fixed(executions.select().where(executions.c.id == param("execution")))


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution as it stands."""

    id: str
    tenant: str
    run: str
    request: str
    tool: str
    target: str
    state: str
    begun_ms: int


def find_execution(reading: Reading, execution_id: str) -> Execution | None:
    """The execution with this id."""
    row = reading.one(_BY_ID, {"execution": execution_id})
    return None if row is None else _execution_of_row(row)


def unfinished_on(reading: Reading, tenant: str, upstream: str, target: str) -> Execution | None:
    """The execution that is under way or in doubt for this target, if there is one."""
    row = reading.one(_UNFINISHED_ON, {"of_tenant": tenant, "at": upstream, "on": target})
    return None if row is None else _execution_of_row(row)


def earlier_on(reading: Reading, tenant: str, upstream: str, target: str) -> list[Execution]:
    """Every execution on this target so far, oldest first: what a reviewer is shown."""
    rows = reading.all(
        executions.select()
        .where(
            executions.c.tenant == tenant, executions.c.upstream == upstream, executions.c.target == target
        )
        .order_by(executions.c.begun_ms)
    )
    return [_execution_of_row(row) for row in rows]


def unfinished(reading: Reading, tenant: str) -> list[Execution]:
    """Every execution of a tenant that is under way or in doubt, oldest first."""
    rows = reading.all(
        executions.select()
        .where(executions.c.tenant == tenant, executions.c.state.in_(UNFINISHED))
        .order_by(executions.c.begun_ms)
    )
    return [_execution_of_row(row) for row in rows]


def count_in_step(reading: Reading, run: Run) -> int:
    """How many executions the run's current step has had that may have had an effect."""
    rows = reading.all(_COUNTED, {"of_run": run.id, "since_epoch": run.entered_epoch})
    return len(rows)


def has_succeeded_in_step(reading: Reading, run: Run) -> bool:
    """Whether a write of the run's current step was carried out for certain."""
    return bool(reading.all(_SUCCEEDED, {"of_run": run.id, "since_epoch": run.entered_epoch}))


def begin_execution(
    tx: Transaction,
    run: Run,
    *,
    execution_id: str,
    request: str,
    upstream: str,
    tool: str,
    target: str,
    instance: str,
    lease_ms: int,
) -> Execution:
    """Note that one frame is about to leave. Everything that may refuse it has been asked in this
    transaction.
    """
    lease_until_ms = tx.now_ms + lease_ms
    tx.run(
        _BEGIN,
        {
            "id": execution_id,
            "tenant": run.tenant,
            "run": run.id,
            "step": run.step,
            "epoch": run.epoch,
            "request": request,
            "upstream": upstream,
            "tool": tool,
            "target": target,
            "state": "executing",
            "instance": instance,
            "lease_until_ms": lease_until_ms,
            "begun_ms": tx.now_ms,
        },
    )
    body: JsonObject = {
        "execution": execution_id,
        "request": request,
        "tool": tool,
        "target": target,
        "instance": instance,
        "lease_until_ms": lease_until_ms,
    }
    rests_on = (RestsOn(execution_id, "authorised_by", request),)
    tx.append(
        Entry("execution.begun", run.tenant, body, principal=run.principal, run=run.id, rests_on=rests_on)
    )
    return Execution(execution_id, run.tenant, run.id, request, tool, target, "executing", tx.now_ms)


def settle_execution(tx: Transaction, execution_id: str, outcome: Outcome, because: str) -> bool:
    """Write down an outcome. A certain outcome may settle what a lapsed lease had left in doubt; nothing else
    is rewritten.

    Gives False when the execution was already settled for certain. If it was settled otherwise, by a human
    who looked before the late answer came, the log says so.
    """
    statement = _LEAVE_IN_DOUBT if outcome == "in_doubt" else _SETTLE
    row = tx.one(statement, {"execution": execution_id, "outcome": outcome, "now_ms": tx.now_ms})
    if row is None:
        stands = find_execution(tx, execution_id)
        if stands is not None and outcome != "in_doubt" and stands.state != outcome:
            told: JsonObject = {"execution": execution_id, "stands": stands.state, "said": outcome}
            entry = Entry(
                "execution.contradicted", stands.tenant, {**told, "because": because}, run=stands.run
            )
            tx.append(entry)
        return False
    settle_request(tx, row.request, outcome)
    body: JsonObject = {"execution": execution_id, "state": outcome, "because": because}
    tx.append(Entry("execution.settled", row.tenant, body, run=row.run))
    return True


def settle_by_hand(tx: Transaction, signed: SignedSettlement) -> bool:
    """Free the target of an execution in doubt by what a human found out. The caller has verified the
    signature and asked the gate.

    Gives False when it is not in doubt: what is under way, or certain, no statement changes.
    """
    found = signed.settlement
    row = tx.one(_FREE, {"execution": found.execution, "outcome": found.outcome, "now_ms": tx.now_ms})
    if row is None:
        return False
    settle_request(tx, row.request, found.outcome)
    body: JsonObject = {
        "execution": found.execution,
        "state": found.outcome,
        "because": f"{found.person} looked: {found.note}",
        "statement": signed.as_json(),
    }
    tx.append(Entry("execution.settled", row.tenant, body, principal=found.person, run=row.run))
    return True


def lapsed_leases(reading: Reading, now_ms: int) -> list[tuple[str, str]]:
    """The executions that were begun and whose lease has lapsed, each with the instance that held it."""
    rows = reading.all(
        executions.select().where(executions.c.state == "executing", executions.c.lease_until_ms <= now_ms)
    )
    return [(row.id, row.instance) for row in rows]


def expire_leases(tx: Transaction) -> list[str]:
    """Put every execution whose lease has lapsed in doubt: its server died before the outcome."""
    lapsed = lapsed_leases(tx, tx.now_ms)
    for execution_id, instance in lapsed:
        settle_execution(
            tx, execution_id, "in_doubt", f"the lease of {instance} lapsed before an outcome was recorded"
        )
    return [execution_id for execution_id, _ in lapsed]


def outcome_of(answer: UpstreamResult | UpstreamFailure, view: View) -> tuple[Outcome, str]:
    """What an upstream's answer to a write proves (design, route of a tool call, 7): the outcome, and why.

    `failed` only when no frame left, or when the catalogue says that this error means no effect.
    """
    if isinstance(answer, UpstreamFailure):
        return ("in_doubt" if answer.sent else "failed"), answer.reason
    if not answer.is_error:
        return "succeeded", "the upstream answered"
    if view.means_no_effect(answer.text):
        return "failed", "the upstream's error means no effect, says the catalogue"
    return "in_doubt", "the upstream answered with an error that may have come after an effect"


def new_execution_id(now_ms: int) -> str:
    """A fresh id; reads have one too, so that each answer of a tool can be named."""
    return new_id("exe", now_ms)


def _execution_of_row(row: Any) -> Execution:
    return Execution(row.id, row.tenant, row.run, row.request, row.tool, row.target, row.state, row.begun_ms)
