"""Approvals as operations: what waits to be judged, everything that a reviewer needs to judge it, and the
verdict.

A verdict carries a signature of its own, over the digest of the call: the one that asks for the operation
never counts as one.
"""

from __future__ import annotations

import json
from typing import Any, Literal, cast

from pydantic import Field

from context_store.grants import CurationGrant
from context_store.shown import read_bundle, showings
from ledger.canonical import JsonObject, JsonValue
from ledger.clock import rfc3339
from ledger.transaction import Reading, Transaction
from policies.agents import agent_by_id
from policies.approvals import (
    OPEN_STATES,
    ApprovalRequest,
    find_request,
    list_requests,
    record_verdict,
    verdicts_on,
)
from policies.decisions import judge_approval
from policies.display import suspicious_values
from policies.principals import Person
from policies.verdicts import Choice, SignedVerdict, Verdict
from server.errors import BadInput, RuleRefused
from server.operations.operation import Arguments, Operation, OperationDesk
from tool_scopes.executions import earlier_on
from tool_scopes.tables import envelopes, observations


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


def _list(desk: OperationDesk, person: Person, given: ListApprovals) -> JsonObject:
    states = None if given.all else OPEN_STATES
    now_ms = desk.now_ms()
    found = desk.ledger.read(lambda reading: list_requests(reading, tenant=person.tenant, states=states))
    return {
        "approvals": [
            _listed(request, now_ms) for request in found if given.all or request.expires_ms > now_ms
        ]
    }


def _show(desk: OperationDesk, person: Person, given: OneApproval) -> JsonObject:
    def look(reading: Reading) -> JsonObject:
        request = _request(reading, person, given.request)
        call = request.call
        agent = agent_by_id(reading, request.principal)
        return {
            **_listed(request, desk.now_ms()),
            "digest": request.digest,
            "call": call.as_json(),
            "summary": request.summary,
            "owner": None if agent is None else agent.owner,
            "suspicious": _suspicious(call.arguments),
            "saw": _saw(reading, person, request),
            "concluded": _concluded(reading, request),
            "earlier": [
                {"execution": one.id, "run": one.run, "tool": one.tool, "state": one.state}
                for one in earlier_on(reading, call.tenant, call.upstream, call.target)
            ],
            "verdicts": [
                {
                    "reviewer": given_verdict.signed.verdict.reviewer,
                    "verdict": given_verdict.signed.verdict.verdict,
                    "at": rfc3339(given_verdict.signed.verdict.at),
                    "counts": given_verdict.holder is not None,
                }
                for given_verdict in verdicts_on(reading, request)
            ],
        }

    return desk.ledger.read(look)


def _judge(desk: OperationDesk, person: Person, given: JudgeApproval) -> JsonObject:
    choice: Choice = given.verdict

    def judge(tx: Transaction) -> ApprovalRequest | RuleRefused:
        request = _request(tx, person, given.request)
        refused = _refused(desk, tx, person, request)
        if refused is not None:
            return refused
        verdict = Verdict(request.digest, choice, person.id, given.at)
        return record_verdict(tx, request.id, SignedVerdict(verdict, given.kid, given.signature))

    judged = desk.ledger.transact_now(judge)
    if isinstance(judged, RuleRefused):
        raise judged
    return {"request": judged.id, "verdict": given.verdict, "state": judged.state}


def _refused(
    desk: OperationDesk, reading: Reading, person: Person, request: ApprovalRequest
) -> RuleRefused | None:
    """What the gate says against this person as a judge of this request."""
    agent = agent_by_id(reading, request.principal)
    owns = bool(person.identities & {request.principal, agent.owner if agent else request.principal})
    question = judge_approval(
        person, request.id, request.tenant, owns_agent=owns, four_eyes=request.call.quorum.four_eyes
    )
    decision = desk.policies.decide(question)
    if decision.allowed:
        return None
    return RuleRefused(
        f"{person.id} may not judge {request.id}: {decision.reason}; a {request.call.quorum.role} who does "
        f"not own the agent {request.principal} has to."
    )


def _request(reading: Reading, person: Person, request_id: str) -> ApprovalRequest:
    request = find_request(reading, request_id)
    if request is None or request.tenant != person.tenant:
        raise BadInput(
            f"There is no request {request_id}; `bailiwick approval list` shows those that there are."
        )
    return request


def _listed(request: ApprovalRequest, now_ms: int) -> JsonObject:
    over = request.state in OPEN_STATES and request.expires_ms <= now_ms
    return {
        "request": request.id,
        "state": "expired" if over else request.state,
        "agent": request.principal,
        "run": request.run,
        "tool": request.summary.get("tool") or request.call.tool,
        "target": request.call.target,
        "asked": rfc3339(request.created_ms),
        "expires": rfc3339(request.expires_ms),
        "execution": request.execution,
    }


def _suspicious(arguments: JsonObject) -> list[JsonValue]:
    return [
        {
            "place": place,
            "shown": shown.text,
            "characters": [f"{one.kind}: {one.name}" for one in shown.suspicions],
        }
        for place, shown in suspicious_values(arguments)
    ]


def _saw(reading: Reading, person: Person, request: ApprovalRequest) -> JsonObject:
    """The evidence that the request rests on: bundles as they were served, and what tools answered."""
    grant = CurationGrant(person.tenant, person.id)
    considered = set(request.call.evidence)
    bundles: list[JsonValue] = []
    for name, step in {shown.bundle: shown.step for shown in showings(reading, request.run)}.items():
        raw = read_bundle(reading, grant, name)
        if raw is not None:
            bundle = cast("dict[str, Any]", json.loads(raw))
            told: JsonObject = {name: bundle[name] for name in ("need", "sufficiency", "items", "conflicts")}
            bundles.append({"bundle": name, "step": step, **told})
    rows = reading.all(
        observations.select().where(observations.c.run == request.run).order_by(observations.c.id)
    )
    observed: list[JsonValue] = [
        {"id": f"{row.id}@1", "tool": row.tool, "text": row.text} for row in rows if row.digest in considered
    ]
    return {"bundles": bundles, "observations": observed}


def _concluded(reading: Reading, request: ApprovalRequest) -> JsonObject | None:
    """The newest envelope that the run had submitted when it asked."""
    rows = reading.all(
        envelopes.select()
        .where(envelopes.c.run == request.run, envelopes.c.epoch <= request.call.epoch)
        .order_by(envelopes.c.epoch.desc())
        .limit(1)
    )
    return None if not rows else cast("JsonObject", json.loads(rows[0].envelope))


OPERATIONS = (
    Operation("approval.list", ListApprovals, "person", _list, logged=False),
    Operation("approval.show", OneApproval, "person", _show),
    Operation("approval.judge", JudgeApproval, "reviewer", _judge),
)
