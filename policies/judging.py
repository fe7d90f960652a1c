"""Judging a request: a reviewer's signed verdict is taken, and everything that a judgement rests on is
gathered.

What is checked here spares a reviewer a verdict that would not count. What counts is decided when the
approval is redeemed, by the same pure function (policies/redemption.py) over facts that are gathered anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ledger.canonical import JsonObject
from ledger.clock import rfc3339
from ledger.entries import Entry
from ledger.lookup import entry_at
from ledger.statements import fixed, param
from ledger.transaction import AnyRow, Reading, Transaction
from policies.call import PresentedCall
from policies.errors import PolicyError
from policies.operations import CLOCK_TOLERANCE_MS
from policies.people import KeyHolder, all_names_of, holder_of_key, keys_of_people
from policies.principals import Person
from policies.redemption import CastVerdict, RedemptionFacts, quorum_met
from policies.requests import OPEN_STATES, ApprovalRequest, find_request
from policies.tables import approval_requests, verdicts
from policies.verdicts import SignedVerdict, Verdict

_ON_REQUEST = fixed(verdicts.select().where(verdicts.c.request == param("on")).order_by(verdicts.c.at_ms))


class JudgementRefused(PolicyError):
    """A verdict cannot be taken: the message says why, for the reviewer at the terminal."""


def record_verdict(tx: Transaction, request_id: str, signed: SignedVerdict) -> ApprovalRequest:
    """Take a reviewer's signed verdict. Raises `JudgementRefused` when it cannot count for this request.

    The caller has asked the gate whether the person may judge. The same verdict twice is taken once.
    """
    request = find_request(tx, request_id)
    if request is None:
        raise JudgementRefused(
            f"There is no request {request_id[:64]}; `bailiwick approval list` shows those there are."
        )
    _refuse_closed(request, tx.now_ms)
    verdict, holder = signed.verdict, holder_of_key(tx, signed.kid)
    if holder is None or holder.person.id != verdict.reviewer:
        raise JudgementRefused(
            f"The key {signed.kid[:64]} is not a key of {verdict.reviewer[:64]} that is in force here."
        )
    if verdict.request_digest != request.digest or not signed.is_signed_by(holder.public_key):
        raise JudgementRefused(
            f"The signature is not over request {request.id}; look at it again and sign anew."
        )
    _refuse_wrong_time(request, verdict.at, tx.now_ms)
    _refuse_unfit(tx, request, holder, verdict)
    row = {"request": request.id, "kid": signed.kid, "verdict": verdict.verdict}
    same = verdicts.select().where(*(verdicts.c[name] == value for name, value in row.items()))
    if tx.one(same) is not None:
        return request
    told = {"request_digest": verdict.request_digest, "reviewer": verdict.reviewer, "at_ms": verdict.at}
    tx.execute(verdicts.insert(), row | told | {"signature": signed.signature})
    state = _state_after(tx, request, verdict)
    if state != request.state:
        tx.execute(approval_requests.update().where(approval_requests.c.id == request.id).values(state=state))
    body: JsonObject = {
        "request": request.id,
        **verdict.as_json(),
        "kid": signed.kid,
        "public_key": holder.public_key,
        "signature": signed.signature,
        "state": state,
    }
    tx.append(Entry("approval.judged", request.tenant, body, principal=verdict.reviewer, run=request.run))
    return replace(request, state=state)


def verdicts_on(reading: Reading, request: ApprovalRequest) -> tuple[CastVerdict, ...]:
    """Every verdict on a request, with who holds its key now, in the order in which they were cast."""
    rows = reading.all(_ON_REQUEST, {"on": request.id})
    return tuple(_cast(reading, row) for row in rows)


def gather_facts(
    reading: Reading,
    request: ApprovalRequest,
    presented: PresentedCall,
    changed: Sequence[str] = (),
    busy: str | None = None,
) -> RedemptionFacts:
    """Everything that a judgement about this request rests on, as this transaction sees it."""
    return RedemptionFacts(
        state=request.state,
        created_seq=_logged_seq(reading, request),
        call=request.call,
        presented=presented,
        verdicts=verdicts_on(reading, request),
        excluded=_excluded(reading, request),
        changed=tuple(changed),
        busy=busy,
    )


def reason_against(reading: Reading, request: ApprovalRequest, person: Person) -> str | None:
    """Why an approval by this person would not count now, or that it does already; None if it would count."""
    signed = [cast.signed.verdict for cast in verdicts_on(reading, request) if cast.holder is not None]
    if any((verdict.reviewer, verdict.verdict) == (person.id, "approve") for verdict in signed):
        return f"{person.id} has approved it already."
    try:
        _refuse_closed(request, request.created_ms)
        holders = [holder_of_key(reading, kid) for kid in keys_of_people(reading, {person.id})]
        for holder in holders:
            if holder is not None:
                verdict = Verdict(request.digest, "approve", person.id, request.created_ms)
                _refuse_unfit(reading, request, holder, verdict)
                return None
    except JudgementRefused as refused:
        return str(refused)
    return f"{person.id} has no key in force."


def _refuse_closed(request: ApprovalRequest, now_ms: int) -> None:
    if request.state not in OPEN_STATES:
        raise JudgementRefused(f"Request {request.id} is {request.state} and can no longer be judged.")
    if request.call.expires <= now_ms:
        raise JudgementRefused(
            f"Request {request.id} expired at {rfc3339(request.call.expires)}; it has to be asked again."
        )


def _refuse_wrong_time(request: ApprovalRequest, at: int, now_ms: int) -> None:
    earliest, latest = request.created_ms - CLOCK_TOLERANCE_MS, now_ms + CLOCK_TOLERANCE_MS
    if not earliest <= at <= latest:
        raise JudgementRefused(
            f"The verdict is dated {rfc3339(max(at, 0))}, before the request or in the future; set the "
            "clock of this machine and sign anew."
        )


def _refuse_unfit(reading: Reading, request: ApprovalRequest, holder: KeyHolder, verdict: Verdict) -> None:
    """Refuse whoever cannot judge this request. To deny one, a reviewer needs less: a no from anybody is
    safe.
    """
    person, quorum = holder.person, request.call.quorum
    if person.tenant != request.tenant or quorum.role not in person.roles:
        raise JudgementRefused(
            f"{person.id} is no {quorum.role} of tenant {request.tenant}; somebody else judges."
        )
    if verdict.verdict == "deny":
        return
    if person.identities & _excluded(reading, request):
        raise JudgementRefused(
            f"{person.id} owns the agent that asks; it takes four eyes, so somebody else judges."
        )
    if holder.enrolled_seq >= request.created_seq:
        raise JudgementRefused(
            f"The key of {person.id} was enrolled after the request; it judges later ones only."
        )


def _state_after(reading: Reading, request: ApprovalRequest, verdict: Verdict) -> str:
    if verdict.verdict == "deny":
        return "denied"
    return "approved" if quorum_met(gather_facts(reading, request, request.call)) else request.state


def _excluded(reading: Reading, request: ApprovalRequest) -> frozenset[str]:
    """The names that may not approve this request."""
    requester = all_names_of(reading, request.principal)
    return requester | all_names_of(reading, request.owner) if request.call.quorum.four_eyes else requester


def _logged_seq(reading: Reading, request: ApprovalRequest) -> int:
    """The number of the log entry that asked for this request; 0, before every key, if the log does not say
    so.

    The column could be moved behind the enrolment of a reviewer; the signed log cannot.
    """
    entry = entry_at(reading, request.created_seq)
    if entry is None or entry.kind != "approval.requested":
        return 0
    same = (entry.body.get("request"), entry.body.get("digest")) == (request.id, request.call.digest())
    return request.created_seq if same else 0


def _cast(reading: Reading, row: AnyRow) -> CastVerdict:
    verdict = Verdict(row.request_digest, row.verdict, row.reviewer, row.at_ms)
    return CastVerdict(SignedVerdict(verdict, row.kid, row.signature), holder_of_key(reading, row.kid))
