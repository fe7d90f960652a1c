"""Asking for approval: one request for one call, bounded, and never one that could not be redeemed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from ledger.canonical import MAX_DEPTH, JsonValue
from ledger.transaction import Transaction
from policies import approvals
from policies.approvals import ApprovalRequest, list_requests, request_approval
from policies.call import Quorum
from policies.codes import Denial
from policies.errors import PolicyError
from policies.tables import approval_requests
from tests.policies.stage import HOUR_MS, Stage, a_call


def test_an_identical_open_request_is_returned_and_not_doubled(stage: Stage) -> None:
    first = stage.request()
    assert stage.request().id == first.id
    assert stage.judge(first, "rita").state == "approved"
    assert stage.request().id == first.id


def test_case_82_one_identical_call_has_one_request_and_one_effect(stage: Stage) -> None:
    request = stage.approved()
    assert stage.request().id == request.id
    assert [stage.code(request), stage.code(request)] == ["done", "approval_spent"]


def test_more_evidence_shown_since_leaves_the_request(stage: Stage) -> None:
    first = stage.request()
    assert stage.request(a_call(evidence=("bnd_1", "bnd_2", "obs-1@1"))).id == first.id


OUT_OF_DATE: dict[str, dict[str, Any]] = {
    "other policies": {"policy": "sha256:newer"},
    "another catalogue": {"catalogue": "sha256:newer"},
    "another workflow": {"workflow": "sha256:newer"},
    "another version of the target": {"precondition": "v2"},
    "evidence taken away": {"evidence": ("bnd_1",)},
}


@pytest.mark.parametrize("sentence", OUT_OF_DATE)
def test_a_request_that_could_not_be_redeemed_makes_way(stage: Stage, sentence: str) -> None:
    first = stage.request()
    second = stage.request(a_call(**OUT_OF_DATE[sentence]))
    assert second.id != first.id
    assert stage.code(first) == "approval_revoked"
    assert [entry.body["request"] for entry in stage.ledger.entries(kinds=["approval.revoked"])] == [first.id]


def test_an_expired_request_makes_way(stage: Stage) -> None:
    first = stage.request(lifetime_ms=5)
    stage.clock[0] += HOUR_MS
    assert stage.request().id != first.id
    assert stage.code(first) == "approval_expired"


def test_a_denied_call_may_be_asked_again_and_is_another_request(stage: Stage) -> None:
    first = stage.request()
    stage.judge(first, "rita", "deny")
    second = stage.request()
    assert second.id != first.id
    assert second.digest != first.digest


def test_two_requests_never_share_a_digest(stage: Stage) -> None:
    first = stage.request()
    stage.judge(first, "rita", "deny")
    stage.clock[0] = first.created_ms - 1
    second = stage.request(lifetime_ms=first.expires_ms - first.created_ms)
    assert second.digest != first.digest
    with pytest.raises(IntegrityError):
        stage.sql(approval_requests.update().values(digest=first.digest))


def test_case_105_refused_writes_leave_a_bounded_number_of_requests(stage: Stage) -> None:
    codes: list[str] = []
    for amount in range(approvals.MAX_OPEN_IN_RUN + 5):
        asked = stage.ask(a_call(arguments={"order_id": "o-1", "amount": amount}))
        codes.append(asked.code if isinstance(asked, Denial) else "pending")
    assert codes == ["pending"] * approvals.MAX_OPEN_IN_RUN + ["rate_limited"] * 5
    assert isinstance(stage.ask(a_call(run="run_2")), ApprovalRequest)


@pytest.mark.slow
def test_case_105_ten_thousand_writes_over_many_runs_leave_a_bounded_number_too(stage: Stage) -> None:
    def try_and_try(tx: Transaction) -> Counter[str]:
        codes = Counter[str]()
        for number in range(10_000):
            changes: dict[str, Any] = {"run": f"run_{number % 400}", "target": f"order:{number}"}
            call = a_call(**changes, arguments={"order_id": f"o-{number}", "amount": 1})
            exact = call.under(quorum=Quorum(1), not_before=tx.now_ms, expires=tx.now_ms + HOUR_MS)
            said = request_approval(tx, exact, stage.ring.secret("approval-token"), {})
            codes[said.code if isinstance(said, Denial) else "pending"] += 1
        return codes

    most = approvals.MAX_OPEN_OF_AGENT
    assert stage.work(try_and_try) == {"pending": most, "rate_limited": 10_000 - most}
    assert len(stage.ledger.read(lambda reading: list_requests(reading, states=("pending",)))) == most


def test_arguments_as_deep_as_they_may_be_are_asked_logged_and_redeemed(stage: Stage) -> None:
    nested: JsonValue = 1
    for _ in range(MAX_DEPTH - 1):
        nested = [nested]
    call = a_call(arguments={"order_id": nested})
    assert stage.code(stage.approved(call), call) == "done"


def test_an_agent_that_is_not_enrolled_asks_for_nothing(stage: Stage) -> None:
    asked = stage.ask(a_call(principal="nobody"))
    assert isinstance(asked, Denial)
    assert asked.code == "policy_denied"


def test_the_log_holds_the_exact_call_and_what_it_considers(stage: Stage) -> None:
    request = stage.request()
    entry = next(stage.ledger.entries(kinds=["approval.requested"]))
    assert entry.seq == request.created_seq
    assert entry.body["call"] == request.call.as_json()
    assert {edge.foundation for edge in entry.rests_on} == {"bnd_1", "obs-1@1"}


def test_listings_can_be_narrowed(stage: Stage) -> None:
    one, two = stage.request(), stage.request(a_call(run="run_2"))
    stage.judge(two, "rita", "deny")

    def ids(**by: Any) -> list[str]:
        return [request.id for request in stage.ledger.read(lambda reading: list_requests(reading, **by))]

    assert ids() == [one.id, two.id]
    assert ids(run="run_2") == [two.id]
    assert ids(states=["pending"]) == [one.id]
    assert ids(tenant="globex") == []


def test_only_what_exists_and_is_not_over_can_be_taken_back(stage: Stage) -> None:
    request = stage.request()
    stage.judge(request, "rita", "deny")
    with pytest.raises(PolicyError, match="nothing to take back"):
        stage.work(lambda tx: approvals.revoke_request(tx, request.id, by="rita", reason=""))
    with pytest.raises(PolicyError, match="There is no request"):
        stage.work(lambda tx: approvals.revoke_request(tx, "req_none", by="rita", reason=""))


IMPOSSIBLE: dict[str, dict[str, Any]] = {
    "an unknown state": {"state": "maybe"},
    "executing without an execution": {"state": "executing"},
    "pending with an execution": {"execution": "exe_1"},
    "over before it began": {"expires_ms": 1},
}


@pytest.mark.parametrize("sentence", IMPOSSIBLE)
def test_the_table_refuses_impossible_rows(stage: Stage, sentence: str) -> None:
    stage.request()
    with pytest.raises(IntegrityError):
        stage.sql(approval_requests.update().values(**IMPOSSIBLE[sentence]))
