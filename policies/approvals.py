"""Approval requests over ledger transactions: asked for once, judged by signatures, redeemed at most once.

A request is redeemed by the call that it was made for and by no other. Nothing that fails burns it: a
mismatch, a closed step or a busy target leaves the approval as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ledger.canonical import JsonObject, canonical
from ledger.entries import Entry, RestsOn
from ledger.ids import new_id
from ledger.statements import fixed, param
from ledger.transaction import Reading, Transaction
from policies.agents import agent_by_id
from policies.call import CHANGED_PREFIX, CanonicalCall, PresentedCall
from policies.codes import Denial
from policies.errors import PolicyError
from policies.gate_state import freeze_denial, gate_denial, read_gate
from policies.judging import JudgementRefused, gather_facts, record_verdict, verdicts_on
from policies.operations import CLOCK_TOLERANCE_MS
from policies.redemption import judge
from policies.requests import (
    OPEN_STATES,
    SPENT_STATES,
    ApprovalRequest,
    find_by_token,
    find_open,
    find_request,
    list_requests,
)
from policies.tables import approval_requests
from policies.tokens import derive_token, token_digest

__all__ = [
    "OPEN_STATES",
    "ApprovalRequest",
    "JudgementRefused",
    "find_by_token",
    "find_request",
    "list_requests",
    "open_request",
    "record_verdict",
    "redeem",
    "request_approval",
    "revoke_request",
    "settle_request",
    "verdicts_on",
]

REQUEST_PREFIX: Final = "req"

MAX_OPEN_IN_RUN: Final = 20
MAX_OPEN_OF_AGENT: Final = 100
"""How many requests may be open at once: reviewers are not flooded by an agent that tries and tries."""

_UNFINISHED: Final = ("executing", "in_doubt")


_ASK = fixed(approval_requests.insert())
_OF_DIGEST = fixed(approval_requests.select().where(approval_requests.c.digest == param("call")))
_OPEN_OF_AGENT = fixed(
    approval_requests.select()
    .with_only_columns(approval_requests.c.run)
    .where(
        approval_requests.c.principal == param("agent"),
        approval_requests.c.state.in_(OPEN_STATES),
        approval_requests.c.expires_ms > param("now_ms"),
    )
)
_ON_TARGET = fixed(
    approval_requests.select().where(
        approval_requests.c.tenant == param("of_tenant"),
        approval_requests.c.upstream == param("at"),
        approval_requests.c.target == param("on"),
        approval_requests.c.state.in_(_UNFINISHED),
    )
)
_SPEND = fixed(
    approval_requests.update()
    .where(approval_requests.c.id == param("request"), approval_requests.c.state == "approved")
    .values(state="executing", execution=param("by_execution"))
    .returning(approval_requests.c.id)
)
_SETTLE = fixed(
    approval_requests.update()
    .where(approval_requests.c.id == param("request"), approval_requests.c.state.in_(_UNFINISHED))
    .values(state=param("outcome"))
)


def request_approval(
    tx: Transaction, call: CanonicalCall, secret: bytes, summary: JsonObject
) -> ApprovalRequest | Denial:
    """The open request for this call, made now unless there is one. `secret` is the ring's `approval-token`.

    An open request of the same core that could no longer be redeemed, because its time is over or its files,
    precondition or evidence changed, makes way for a new one. What the agent was shown since may have grown.
    """
    core_key = call.core_key()
    open_now = find_open(tx, core_key)
    if open_now is not None and _still_good(open_now.call, call, tx.now_ms):
        return open_now
    if open_now is not None:
        _make_way(tx, open_now)
    return _too_many(tx, call) or _create(tx, call, core_key, secret, summary)


def open_request(reading: Reading, call: CanonicalCall, now_ms: int) -> ApprovalRequest | None:
    """The open request that `request_approval` would give for this call without writing anything."""
    found = find_open(reading, call.core_key())
    return found if found is not None and _still_good(found.call, call, now_ms) else None


def revoke_request(tx: Transaction, request_id: str, *, by: str, reason: str) -> ApprovalRequest:
    """Take an approval back, on behalf of the person `by`. One that is spent already stays so, and the log
    says it came late.

    Raises `PolicyError` when there is no such request, or nothing is left to take back.
    """
    request = find_request(tx, request_id)
    if request is None:
        raise PolicyError(
            f"There is no request {request_id[:64]}; `bailiwick approval list` shows those there are."
        )
    late = request.state in SPENT_STATES
    if not late and request.state not in OPEN_STATES:
        raise PolicyError(f"Request {request.id} is {request.state}; there is nothing to take back.")
    if not late:
        _move(tx, request, "revoked")
    body: JsonObject = {"request": request.id, "late": late, "reason": reason}
    tx.append(Entry("approval.revoked", request.tenant, body, principal=by, run=request.run))
    return request if late else replace(request, state="revoked")


def redeem(
    tx: Transaction,
    request: ApprovalRequest,
    presented: PresentedCall,
    *,
    execution: str,
    changed: Sequence[str],
    busy: str | None,
) -> Denial | None:
    """Spend an approval on `execution`, or say why not; None means that it is spent now and the call may be
    made.

    Reads request, verdicts, keys and roles again, verifies every signature, and moves the state only from
    `approved`. `changed` and `busy` are facts of the floors above: evidence out of force, an unfinished
    execution on the target.
    """
    current = find_request(tx, request.id)
    if current is None:
        return Denial("approval_required", reason="the request is gone")
    gate = read_gate(tx)
    frozen = freeze_denial(gate, presented.principal)
    if frozen is not None:
        return frozen
    if agent_by_id(tx, presented.principal) is None:
        return Denial("policy_denied", reason=f"{presented.principal} was revoked")
    since = [version for version in changed if version not in current.call.known_changed]
    facts = gather_facts(tx, current, presented, since, busy or _unfinished_on(tx, presented))
    denial = judge(facts, tx.now_ms)
    if denial is not None:
        if denial.code == "approval_spent":
            spent: JsonObject = {"execution": current.execution, "status": current.state}
            return Denial(denial.code, denial.reason, spent)
        return denial
    if tx.clock_behind_ms > CLOCK_TOLERANCE_MS:
        return Denial("unavailable", reason=f"the clock is {tx.clock_behind_ms} ms behind the log")
    denial = gate_denial(gate, presented.policy, presented.catalogue)
    if denial is not None:
        return denial
    won = tx.one(_SPEND, {"request": current.id, "by_execution": execution})
    return None if won is not None else Denial("approval_spent", reason="another call was first")


def settle_request(tx: Transaction, request_id: str, state: str) -> None:
    """Follow the execution that spent this request: succeeded, failed or in_doubt. What is certain stays as
    it is.
    """
    tx.run(_SETTLE, {"request": request_id, "outcome": state})


def _still_good(asked: CanonicalCall, call: CanonicalCall, now_ms: int) -> bool:
    """Whether the request that was made for `asked` could still be redeemed by `call`, whose core is the
    same.
    """
    return (
        now_ms < asked.expires
        and (asked.policy, asked.catalogue, asked.workflow) == (call.policy, call.catalogue, call.workflow)
        and asked.precondition == call.precondition
        and set(asked.evidence) <= set(call.evidence)
        # Whoever signs must know what this run knows by now of its evidence.
        and asked.known_changed == call.known_changed
    )


def _make_way(tx: Transaction, old: ApprovalRequest) -> None:
    if old.call.expires <= tx.now_ms:
        _move(tx, old, "expired")
        return
    _move(tx, old, "revoked")
    body: JsonObject = {"request": old.id, "late": False, "reason": "the facts behind it changed"}
    tx.append(Entry("approval.revoked", old.tenant, body, run=old.run))


def _too_many(tx: Transaction, call: CanonicalCall) -> Denial | None:
    rows = tx.all(_OPEN_OF_AGENT, {"agent": call.principal, "now_ms": tx.now_ms})
    if len(rows) >= MAX_OPEN_OF_AGENT or sum(row.run == call.run for row in rows) >= MAX_OPEN_IN_RUN:
        return Denial("rate_limited", reason=f"{call.principal} has {len(rows)} open approval requests")
    return None


def _create(
    tx: Transaction, call: CanonicalCall, core_key: str, secret: bytes, summary: JsonObject
) -> ApprovalRequest | Denial:
    agent = agent_by_id(tx, call.principal)
    if agent is None:
        return Denial("policy_denied", reason=f"{call.principal} is no enrolled agent")
    call = _distinct(tx, call)
    request_id = new_id(REQUEST_PREFIX, tx.now_ms)
    body: JsonObject = {
        "request": request_id,
        "digest": call.digest(),
        "owner": agent.owner,
        "call": call.as_json(),
        "summary": summary,
    }
    considered = tuple(
        RestsOn(request_id, "considers", name)
        for name in sorted(set(call.evidence))
        if not name.startswith(CHANGED_PREFIX)
    ) + tuple(RestsOn(request_id, "knows_changed", version) for version in sorted(call.known_changed))
    asked = Entry(
        "approval.requested", call.tenant, body, principal=call.principal, run=call.run, rests_on=considered
    )
    request = ApprovalRequest(
        id=request_id,
        tenant=call.tenant,
        principal=call.principal,
        owner=agent.owner,
        run=call.run,
        call=call,
        digest=call.digest(),
        summary=summary,
        state="pending",
        execution=None,
        created_ms=tx.now_ms,
        created_seq=tx.append(asked),
        expires_ms=call.expires,
        token_digest=token_digest(derive_token(secret, request_id)),
    )
    row = {
        "id": request.id,
        "tenant": request.tenant,
        "principal": request.principal,
        "owner": request.owner,
        "run": request.run,
        "upstream": call.upstream,
        "target": call.target,
        "core_key": core_key,
        "digest": request.digest,
        "token_digest": request.token_digest,
        "call": call.as_bytes().decode(),
        "summary": canonical(summary).decode(),
        "state": request.state,
        "created_ms": request.created_ms,
        "created_seq": request.created_seq,
        "expires_ms": request.expires_ms,
    }
    tx.run(_ASK, row)
    return request


def _distinct(tx: Transaction, call: CanonicalCall) -> CanonicalCall:
    """The call, or with an expiry later by the milliseconds that it takes to be the only one with its digest.

    A signature is over the digest, so two requests of one digest would share their approvals.
    """
    while tx.one(_OF_DIGEST, {"call": call.digest()}) is not None:
        call = replace(call, expires=call.expires + 1)
    return call


def _unfinished_on(tx: Transaction, call: PresentedCall) -> str | None:
    """The execution of another request that is under way or in doubt on the same target."""
    row = tx.one(_ON_TARGET, {"of_tenant": call.tenant, "at": call.upstream, "on": call.target})
    return None if row is None else row.execution


def _move(tx: Transaction, request: ApprovalRequest, state: str) -> None:
    tx.execute(approval_requests.update().where(approval_requests.c.id == request.id).values(state=state))
