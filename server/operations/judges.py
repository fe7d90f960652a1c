"""Whom the gate lets judge: one question for verdicts, revocations and findings about executions."""

from __future__ import annotations

from ledger.transaction import Reading
from policies.approvals import ApprovalRequest, find_request
from policies.decisions import judge_approval
from policies.operations import CLOCK_TOLERANCE_MS
from policies.people import KeyHolder, holder_of_key
from policies.principals import Person
from server.errors import BadInput, RuleRefused
from server.operations.operation import OperationDesk


def request_of(reading: Reading, person: Person, request_id: str) -> ApprovalRequest:
    """A request of the person's tenant; `BadInput` when there is none."""
    request = find_request(reading, request_id)
    if request is None or request.tenant != person.tenant:
        raise BadInput(
            f"There is no request {request_id}; `bailiwick approval list` shows those that there are."
        )
    return request


def owns_agent(person: Person, request: ApprovalRequest) -> bool:
    """Whether this person, by any of their names, answers for the agent that asked, or is it."""
    return bool(person.identities & {request.principal, request.owner})


def refusal_to_judge(desk: OperationDesk, person: Person, request: ApprovalRequest) -> RuleRefused | None:
    """What the gate says against this person as a judge of this request."""
    quorum = request.call.quorum
    question = judge_approval(
        person,
        request.id,
        request.tenant,
        owns_agent=owns_agent(person, request),
        four_eyes=quorum.four_eyes,
    )
    decision = desk.policies.decide(question)
    if decision.allowed:
        return None
    return RuleRefused(
        f"{person.id} may not judge {request.id}: {decision.reason}; a {quorum.role} who does not own the "
        f"agent {request.principal} has to."
    )


def signing_holder(reading: Reading, person: Person, kid: str, at: int, now_ms: int) -> KeyHolder:
    """The key of `person` that signed a statement dated `at`, just now; `RuleRefused` otherwise."""
    holder = holder_of_key(reading, kid)
    if holder is None or holder.person.id != person.id:
        raise RuleRefused(f"The key {kid[:64]} is not a key of {person.id} that is in force here.")
    if not -CLOCK_TOLERANCE_MS <= at - now_ms <= CLOCK_TOLERANCE_MS:
        raise RuleRefused("The statement is not dated now; set the clock of this machine and sign anew.")
    return holder
