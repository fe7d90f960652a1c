"""Executions as operations: which are not settled, and what a person found out about one in doubt.

An execution in doubt blocks its target until somebody has looked at the upstream itself and signs what they
found.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ledger.canonical import JsonObject
from ledger.clock import rfc3339
from ledger.transaction import Transaction
from policies.principals import Person
from policies.settlements import Finding, Settlement, SignedSettlement
from server.errors import BadInput, RuleRefused
from server.operations.judges import refusal_to_judge, request_of, signing_holder
from server.operations.operation import Arguments, NoArguments, Operation, OperationDesk
from tool_scopes.executions import Execution, find_execution, settle_by_hand, unfinished


class SettleExecution(Arguments):
    """A finding as its person signed it: `signature` is over the execution, the outcome, the person, `at`
    and the note.
    """

    execution: str = Field(max_length=64)
    outcome: Literal["succeeded", "failed"]
    note: str = Field(min_length=1, max_length=2_000)
    at: int = Field(ge=0)
    kid: str = Field(max_length=64)
    signature: str = Field(max_length=128)


def _list(desk: OperationDesk, person: Person, _given: NoArguments) -> JsonObject:
    found = desk.ledger.read(lambda reading: unfinished(reading, person.tenant))
    return {"executions": [_listed(execution) for execution in found]}


def _settle(desk: OperationDesk, person: Person, given: SettleExecution) -> JsonObject:
    outcome: Finding = given.outcome

    def settle(tx: Transaction) -> Execution | RuleRefused:
        execution = find_execution(tx, given.execution)
        if execution is None or execution.tenant != person.tenant:
            raise BadInput(
                f"There is no execution {given.execution}; `bailiwick run doubts` shows those in doubt."
            )
        refused = refusal_to_judge(desk, person, request_of(tx, person, execution.request))
        if refused is not None:
            return refused
        holder = signing_holder(tx, person, given.kid, given.at, tx.now_ms)
        settlement = Settlement(execution.id, outcome, person.id, given.at, given.note)
        signed = SignedSettlement(settlement, given.kid, given.signature)
        if not signed.is_signed_by(holder.public_key):
            return RuleRefused(f"The signature is not over this finding about {execution.id}; sign it again.")
        if not settle_by_hand(tx, signed):
            state = "under way" if execution.state == "executing" else execution.state
            return RuleRefused(
                f"Execution {execution.id} is {state}; only one in doubt can be settled by hand."
            )
        return execution

    settled = desk.ledger.transact_now(settle)
    if isinstance(settled, RuleRefused):
        raise settled
    return {"execution": settled.id, "state": outcome, "target": settled.target, "run": settled.run}


def _listed(execution: Execution) -> JsonObject:
    return {
        "execution": execution.id,
        "state": execution.state,
        "tool": execution.tool,
        "target": execution.target,
        "run": execution.run,
        "request": execution.request,
        "begun": rfc3339(execution.begun_ms),
    }


OPERATIONS = (
    Operation("execution.list", NoArguments, "person", _list, logged=False),
    Operation("execution.settle", SettleExecution, "reviewer", _settle),
)
