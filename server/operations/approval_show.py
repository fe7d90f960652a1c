"""Everything that a reviewer needs to judge one request, in one look at the ledger.

What the agent saw, what it concluded, exactly what it is about to do, what happened to this target before,
who has signed and who still has to, and what has moved since it asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

from context_store.currency import changed_evidence
from context_store.grants import CurationGrant
from context_store.shown import read_bundle, showings
from ledger.canonical import JsonObject, JsonValue
from ledger.clock import rfc3339
from ledger.transaction import Reading
from policies.approvals import OPEN_STATES, ApprovalRequest, find_request
from policies.display import suspicious_values
from policies.gate_state import gate_denial, read_gate
from policies.judging import gather_facts, reason_against, verdicts_on
from policies.principals import Person
from policies.redemption import approvers, counted
from server.operations.approvals import OneApproval, listed
from server.operations.judges import refusal_to_judge, request_of
from server.operations.operation import Operation, OperationDesk
from tool_scopes.executions import Execution, earlier_on, unfinished_on
from tool_scopes.runs import find_run
from tool_scopes.tables import envelopes, observations, reviews


def _show(desk: OperationDesk, person: Person, given: OneApproval) -> JsonObject:
    def look(reading: Reading) -> JsonObject:
        request = request_of(reading, person, given.request)
        call, now_ms = request.call, desk.now_ms()
        facts = gather_facts(reading, request, call)
        steps = _concluded(reading, request)
        refused = refusal_to_judge(desk, person, request)
        against = str(refused) if refused else reason_against(reading, request, person)
        return {
            **listed(reading, request, now_ms),
            "digest": request.digest,
            "call": call.as_json(),
            "summary": request.summary,
            "owner": request.owner,
            "suspicious": _suspicious(call.arguments),
            "known_changed": list[JsonValue](sorted(call.known_changed)),
            "saw": _saw(reading, person, request),
            "concluded": steps[-1] if steps else None,
            "steps": [*steps],
            "checkpoints": _checkpoints(reading, request),
            "earlier": [
                _before(reading, one) for one in earlier_on(reading, call.tenant, call.upstream, call.target)
            ],
            "verdicts": _verdicts(reading, request, approvers(facts)),
            "missing": max(0, call.quorum.needed - counted(facts)),
            "moved": list[JsonValue](_moved(reading, request, now_ms)),
            "you_cannot": against,
        }

    return desk.ledger.read(look)


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
    bundles: list[JsonValue] = []
    for name, step in {shown.bundle: shown.step for shown in showings(reading, request.run)}.items():
        raw = read_bundle(reading, grant, name)
        if raw is not None:
            bundle = cast("dict[str, Any]", json.loads(raw))
            told: JsonObject = {name: bundle[name] for name in ("need", "sufficiency", "items", "conflicts")}
            bundles.append({"bundle": name, "step": step, **told})
    rows = reading.all(
        observations.select()
        .where(observations.c.run == request.run, observations.c.at_ms <= request.created_ms)
        .order_by(observations.c.at_ms, observations.c.id)
    )
    observed: list[JsonValue] = [{"id": f"{row.id}@1", "tool": row.tool, "text": row.text} for row in rows]
    return {"bundles": bundles, "observations": observed}


def _concluded(reading: Reading, request: ApprovalRequest) -> list[JsonObject]:
    """Every envelope that the run had submitted when it asked, oldest first."""
    rows = reading.all(
        envelopes.select()
        .where(envelopes.c.run == request.run, envelopes.c.epoch <= request.call.epoch)
        .order_by(envelopes.c.epoch)
    )
    return [cast("JsonObject", json.loads(row.envelope)) for row in rows]


def _checkpoints(reading: Reading, request: ApprovalRequest) -> list[JsonValue]:
    """Where the run was stopped for a human, and what they decided."""
    rows = reading.all(reviews.select().where(reviews.c.run == request.run).order_by(reviews.c.epoch))
    return [
        {
            "step": row.step,
            "reasons": json.loads(row.reasons),
            "resolution": row.resolution,
            "by": row.resolved_by,
            "note": row.note,
        }
        for row in rows
    ]


def _before(reading: Reading, execution: Execution) -> JsonObject:
    request = find_request(reading, execution.request)
    return {
        "execution": execution.id,
        "run": execution.run,
        "tool": execution.tool,
        "state": execution.state,
        "at": rfc3339(execution.begun_ms),
        "agent": None if request is None else request.principal,
        "arguments": None if request is None else request.call.arguments,
    }


def _verdicts(reading: Reading, request: ApprovalRequest, counting: frozenset[str]) -> list[JsonValue]:
    told: list[JsonValue] = []
    for cast_verdict in verdicts_on(reading, request):
        verdict = cast_verdict.signed.verdict
        counts = verdict.verdict == "deny" or (
            verdict.reviewer in counting and cast_verdict.holder is not None
        )
        told.append(
            {
                "reviewer": verdict.reviewer,
                "verdict": verdict.verdict,
                "at": rfc3339(verdict.at),
                "counts": counts,
            }
        )
    return told


def _moved(reading: Reading, request: ApprovalRequest, now_ms: int) -> Iterator[str]:
    """What has changed since the request was made, each with the code that the call would get now."""
    if request.state not in OPEN_STATES:
        return
    call, gate, run = request.call, read_gate(reading), find_run(reading, request.run)
    if run is None or (run.step, run.epoch) != (call.step, call.epoch):
        where = "gone" if run is None else f"{run.status} at step {run.step}"
        yield f"step_closed: the run is {where}, and this was asked in step {call.step}"
    elif run.status == "waiting":
        yield f"checkpoint_open: the run waits at step {run.step} for a human"
    if gate.frozen:
        yield "frozen: an administrator has stopped all work"
    if gate_denial(gate, call.policy, call.catalogue) is not None:
        yield "policy_changed: policies or the catalogue are not those that this was asked under"
    for item in changed_evidence(reading, request.run, now_ms):
        if str(item.version) not in call.known_changed:
            yield f"evidence_changed: {item.version}, which the agent was shown, is {item.standing}"
    busy = unfinished_on(reading, call.tenant, call.upstream, call.target)
    if busy is not None:
        yield f"target_changed: {busy.id} on this target is {busy.state}"


OPERATIONS = (Operation("approval.show", OneApproval, "person", _show),)
