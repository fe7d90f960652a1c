"""Approvals as operations: what waits to be judged, the verdict, and taking an approval back.

A verdict carries a signature of its own, over the digest of the call: the one that asks for the operation
never counts as one.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ledger.canonical import JsonObject
from ledger.clock import rfc3339
from ledger.transaction import Reading, Transaction
from policies.approvals import (
    OPEN_STATES,
    ApprovalRequest,
    list_requests,
    record_verdict,
    revoke_request,
)
from policies.decisions import judge_approval
from policies.judging import gather_facts
from policies.principals import Person
from policies.redemption import counted, quorum_met
from policies.verdicts import Choice, SignedVerdict, Verdict
from server.errors import RuleRefused
from server.operations.judges import owns_agent, refusal_to_judge, request_of
from server.operations.operation import Arguments, Operation, OperationDesk


class ListApprovals(Arguments):
    """Which requests: those that can still be judged, or all."""

    all: bool = False


class OneApproval(Arguments):
    """A request by its id."""

    request: str = Field(max_length=64)


class JudgeApproval(OneApproval):
    """A verdict as its reviewer signed it: `signature` is over the request's digest, the verdict, the
    reviewer and `at`.
    """

    verdict: Literal["approve", "deny"]
    at: int = Field(ge=0)
    kid: str = Field(max_length=64)
    signature: str = Field(max_length=128)


class RevokeApproval(OneApproval):
    """Why an approval is taken back."""

    note: str = Field(default="", max_length=2_000)


def _list(desk: OperationDesk, person: Person, given: ListApprovals) -> JsonObject:
    states = None if given.all else OPEN_STATES
    now_ms = desk.now_ms()

    def look(reading: Reading) -> list[JsonObject]:
        found = list_requests(reading, tenant=person.tenant, states=states)
        return [
            listed(reading, request, now_ms) for request in found if given.all or request.expires_ms > now_ms
        ]

    return {"approvals": [*desk.ledger.read(look)]}


def _judge(desk: OperationDesk, person: Person, given: JudgeApproval) -> JsonObject:
    choice: Choice = given.verdict

    def judge(tx: Transaction) -> ApprovalRequest | RuleRefused:
        request = request_of(tx, person, given.request)
        refused = refusal_to_judge(desk, person, request)
        if refused is not None:
            return refused
        verdict = Verdict(request.digest, choice, person.id, given.at)
        return record_verdict(tx, request.id, SignedVerdict(verdict, given.kid, given.signature))

    judged = desk.ledger.transact_now(judge)
    if isinstance(judged, RuleRefused):
        raise judged
    return {"request": judged.id, "verdict": given.verdict, "state": judged.state}


def _revoke(desk: OperationDesk, person: Person, given: RevokeApproval) -> JsonObject:
    """Take an approval back: whoever may judge, and the owner of the agent, for it only stops something."""

    def revoke(tx: Transaction) -> tuple[ApprovalRequest, bool] | RuleRefused:
        request = request_of(tx, person, given.request)
        question = judge_approval(
            person, request.id, request.tenant, owns_agent=owns_agent(person, request), four_eyes=False
        )
        decision = desk.policies.decide(question)
        if not (decision.allowed or request.owner in person.identities):
            return RuleRefused(
                f"{person.id} may not take {request.id} back: {decision.reason}; a reviewer or the agent's "
                "owner has to."
            )
        revoked = revoke_request(tx, request.id, by=person.id, reason=given.note)
        return revoked, revoked.state != "revoked"

    done = desk.ledger.transact_now(revoke)
    if isinstance(done, RuleRefused):
        raise done
    request, late = done
    return {"request": request.id, "state": request.state, "late": late, "execution": request.execution}


def listed(reading: Reading, request: ApprovalRequest, now_ms: int) -> JsonObject:
    """A request as listings show it. An approval whose signatures no longer hold waits again."""
    over = request.state in OPEN_STATES and request.expires_ms <= now_ms
    facts = gather_facts(reading, request, request.call)
    state = "pending" if request.state == "approved" and not quorum_met(facts) else request.state
    return {
        "request": request.id,
        "state": "expired" if over else state,
        "agent": request.principal,
        "run": request.run,
        "tool": request.summary.get("tool") or request.call.tool,
        "target": request.call.target,
        "asked": rfc3339(request.created_ms),
        "expires": rfc3339(request.expires_ms),
        "execution": request.execution,
        "signed": counted(facts),
        "needed": request.call.quorum.needed,
    }


OPERATIONS = (
    Operation("approval.list", ListApprovals, "person", _list, logged=False),
    Operation("approval.judge", JudgeApproval, "reviewer", _judge),
    Operation("approval.revoke", RevokeApproval, "reviewer", _revoke),
)
