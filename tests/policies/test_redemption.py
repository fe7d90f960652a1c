"""Redemption: an approval opens exactly the judged call, once, while everything behind it still holds."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.canonical import JsonObject
from ledger.entries import Entry
from ledger.ledger import Ledger
from ledger.tables import log
from policies.agents import enrol_agent, revoke_agent
from policies.approvals import (
    JudgementRefused,
    find_by_token,
    find_request,
    record_verdict,
    redeem,
    revoke_request,
    settle_request,
)
from policies.call import Quorum
from policies.gate_state import GateDigests, load_gate, set_frozen
from policies.people import revoke_person, revoke_person_key, withdraw_roles
from policies.principals import Agent
from policies.signing import new_personal_key
from policies.tables import approval_requests, people, person_keys, verdicts
from policies.verdicts import sign_verdict
from tests.policies.stage import HOUR_MS, Stage, a_call

OTHER_CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "case_02: an argument is swapped": (
        "approval_mismatch",
        {"arguments": {"order_id": "o-1", "amount": 21}},
    ),
    "case_03: an argument is added": (
        "approval_mismatch",
        {"arguments": {"order_id": "o-1", "amount": 20, "note": ""}},
    ),
    "case_04: a default changed after approval": (
        "approval_mismatch",
        {"arguments": {"order_id": "o-1", "amount": 20, "currency": "EUR"}},
    ),
    "case_05: another tool takes the same arguments": ("approval_mismatch", {"tool": "void"}),
    "case_06: the tool's definition changed": ("policy_changed", {"fingerprint": "sha256:other"}),
    "case_07: another target": ("approval_mismatch", {"target": "order:o-2"}),
    "case_07: another upstream": ("approval_mismatch", {"upstream": "desk-live"}),
    "case_88: the upstream was repointed": ("approval_mismatch", {"endpoint": "sha256:elsewhere"}),
    "case_08: another agent": ("approval_required", {"principal": "other"}),
    "case_09: another run of the same agent": ("approval_required", {"run": "run_2"}),
    "case_10: another step": ("step_closed", {"step": "draft"}),
    "case_10: the step was left and entered again": ("step_closed", {"epoch": 6}),
    "case_11: another tenant": ("approval_required", {"tenant": "globex"}),
    "case_13: the target changed": ("target_changed", {"precondition": "sha256:later"}),
    "case_16: true where 1 was approved": (
        "approval_mismatch",
        {"arguments": {"order_id": "o-1", "amount": True}},
    ),
    "case_18: a Cyrillic look-alike": (
        "approval_mismatch",
        {"arguments": {"order_id": "\u043e-1", "amount": 20}},
    ),
    "case_21: null where nothing was approved": (
        "approval_mismatch",
        {"arguments": {"order_id": "o-1", "amount": 20, "note": None}},
    ),
    "case_46: other policies": ("policy_changed", {"policy": "sha256:looser"}),
    "case_46: another catalogue": ("policy_changed", {"catalogue": "sha256:other"}),
    "case_46: another workflow": ("policy_changed", {"workflow": "sha256:other"}),
}


def enrol_other_agent(stage: Stage) -> None:
    stage.work(lambda tx: enrol_agent(tx, Agent("other", "acme", "owen"), by="rosa"))


@pytest.mark.parametrize("sentence", OTHER_CALLS)
def test_an_approval_opens_no_other_call_and_is_not_burned_by_one(stage: Stage, sentence: str) -> None:
    code, changes = OTHER_CALLS[sentence]
    enrol_other_agent(stage)
    request = stage.approved()
    assert stage.code(request, a_call(**changes)) == code
    assert stage.code(request) == "done"


def test_a_call_that_only_differs_in_spelling_is_the_approved_one(stage: Stage) -> None:
    """case_14, case_16: the order of keys and `20.0` change nothing."""
    assert stage.code(stage.approved(), a_call(arguments={"amount": 20.0, "order_id": "o-1"})) == "done"


def test_case_40_a_spent_approval_tells_its_execution_and_status(stage: Stage) -> None:
    request = stage.approved()
    assert stage.redeem(request) is None
    running = stage.redeem(request)
    assert running is not None
    assert (running.code, running.detail) == (
        "approval_spent",
        {"execution": "exe_1", "status": "executing"},
    )
    stage.work(lambda tx: settle_request(tx, request.id, "succeeded"))
    over = stage.redeem(request)
    assert over is not None
    assert over.detail == {"execution": "exe_1", "status": "succeeded"}


def test_a_spent_approval_stays_spent_after_its_expiry(stage: Stage) -> None:
    request = stage.approved()
    assert stage.code(request) == "done"
    stage.clock[0] += 2 * HOUR_MS
    assert stage.code(request) == "approval_spent"


def test_case_25_an_approval_expires_by_the_ledgers_clock(stage: Stage) -> None:
    request = stage.approved()
    stage.clock[0] = request.call.expires - 2
    assert stage.code(request, changed=("x@1",)) == "evidence_changed"
    assert stage.code(request) == "approval_expired"


def test_case_25_an_expiry_moved_in_the_table_moves_nothing(stage: Stage) -> None:
    request = stage.approved()
    stage.clock[0] = request.call.expires
    stage.sql(approval_requests.update().values(expires_ms=request.expires_ms + HOUR_MS))
    assert stage.code(request) == "approval_expired"


def test_case_26_a_clock_set_back_redeems_nothing(stage: Stage) -> None:
    request = stage.approved()
    stage.clock[0] -= 31_000
    assert stage.code(request) == "unavailable"


def test_case_36_a_denial_after_an_approval_wins(stage: Stage) -> None:
    request = stage.approved()
    assert stage.judge(request, "remy", "deny").state == "denied"
    assert stage.code(request) == "approval_denied"


def test_case_36_a_denial_wins_even_when_the_state_was_set_back(stage: Stage) -> None:
    request = stage.approved()
    stage.judge(request, "remy", "deny")
    stage.sql(approval_requests.update().values(state="approved"))
    assert stage.code(request) == "approval_denied"


def test_case_86_a_signed_denial_is_no_approval(stage: Stage) -> None:
    request = stage.request()
    signed = sign_verdict(stage.keys["rita"], request.digest, "deny", at=stage.clock[0])
    forged = replace(signed, verdict=replace(signed.verdict, verdict="approve"))
    with pytest.raises(JudgementRefused, match="not over request"):
        stage.work(lambda tx: record_verdict(tx, request.id, forged))


def test_case_43_an_approval_revoked_before_its_use_opens_nothing(stage: Stage) -> None:
    request = stage.approved()
    stage.work(lambda tx: revoke_request(tx, request.id, by="rita", reason="wrong customer"))
    assert stage.code(request) == "approval_revoked"


def test_case_44_a_revocation_after_its_use_is_logged_as_late(stage: Stage) -> None:
    request = stage.approved()
    assert stage.code(request) == "done"
    after = stage.work(lambda tx: revoke_request(tx, request.id, by="rita", reason="wrong customer"))
    assert after.state == "executing"
    last = list(stage.ledger.entries(kinds=["approval.revoked"]))[-1]
    assert last.body["late"] is True


def test_case_45_changed_evidence_closes_the_call(stage: Stage) -> None:
    request = stage.approved()
    assert stage.code(request, changed=("policy-14@3",)) == "evidence_changed"
    assert stage.code(request) == "done"


def test_case_52_nothing_is_redeemed_while_everything_is_frozen(stage: Stage) -> None:
    request = stage.approved()
    stage.work(lambda tx: set_frozen(tx, frozen=True, by="rosa", reason="incident"))
    assert stage.code(request) == "frozen"
    stage.work(lambda tx: set_frozen(tx, frozen=False, by="rosa", reason="over"))
    assert stage.code(request) == "done"


def test_case_87_a_server_with_other_files_than_the_gates_is_unavailable(stage: Stage) -> None:
    request = stage.approved()
    other = GateDigests("sha256:newer", "sha256:catalogue", {})
    stage.work(lambda tx: load_gate(tx, other, by="rosa"))
    assert stage.code(request) == "unavailable"


def test_case_96_a_second_write_on_a_busy_target_waits_unspent(stage: Stage) -> None:
    first = stage.approved()
    second = stage.approved(a_call(arguments={"order_id": "o-1", "amount": 5}))
    assert stage.code(first) == "done"
    again = a_call(arguments={"order_id": "o-1", "amount": 5})
    assert stage.code(second, again) == "target_changed"
    stage.work(lambda tx: settle_request(tx, first.id, "in_doubt"))
    assert stage.code(second, again) == "target_changed"
    stage.work(lambda tx: settle_request(tx, first.id, "succeeded"))
    assert stage.code(second, again) == "done"


def test_a_target_that_the_floor_above_calls_busy_is_busy(stage: Stage) -> None:
    request = stage.approved()
    assert stage.code(request, busy="exe_elsewhere") == "target_changed"
    assert stage.code(request) == "done"


def test_a_certain_outcome_is_never_rewritten(stage: Stage) -> None:
    request = stage.approved()
    stage.redeem(request)
    for state in ("succeeded", "failed", "in_doubt"):
        stage.work(lambda tx, state=state: settle_request(tx, request.id, state))
    found = stage.ledger.read(lambda reading: find_request(reading, request.id))
    assert found is not None
    assert found.state == "succeeded"


def test_an_agent_revoked_before_use_spends_nothing(stage: Stage) -> None:
    request = stage.approved()
    stage.work(lambda tx: revoke_agent(tx, "clerk", by="rosa"))
    assert stage.code(request) == "policy_denied"


def verdict_row(request: str, **changes: str | int) -> dict[str, str | int]:
    row: dict[str, str | int] = {
        "request": request,
        "kid": "0" * 16,
        "verdict": "approve",
        "request_digest": "sha256:" + "0" * 64,
        "reviewer": "rita",
        "at_ms": 1,
        "signature": "A" * 86,
    }
    return row | changes


def insert_signed(stage: Stage, request: str, digest: str, key: Any) -> None:
    signed = sign_verdict(key, digest, "approve", at=stage.clock[0])
    row = verdict_row(
        request,
        kid=signed.kid,
        request_digest=digest,
        reviewer=signed.verdict.reviewer,
        at_ms=signed.verdict.at,
        signature=signed.signature,
    )
    stage.sql(verdicts.insert(), row)


def digest_of(stage: Stage, request: str) -> str:
    found = stage.ledger.read(lambda reading: find_request(reading, request))
    assert found is not None
    return found.digest


def spliced(stage: Stage, request: str) -> None:
    other = stage.request(a_call(arguments={"order_id": "o-9", "amount": 1}, target="order:o-9"))
    insert_signed(stage, request, other.digest, stage.keys["rita"])
    stage.sql(verdicts.update().values(request_digest=digest_of(stage, request)))


def revoked_key(stage: Stage, request: str) -> None:
    key = stage.keys["rita"]
    stage.work(lambda tx: revoke_person_key(tx, key.kid, tenant="acme", by="rosa"))
    insert_signed(stage, request, digest_of(stage, request), key)


def own_key(stage: Stage, request: str) -> None:
    """A forged reviewer: rows in `people` and `person_keys`, and even a log entry that names them."""
    key = new_personal_key("mallory")
    body: JsonObject = {"person": "mallory", "kid": key.kid, "note": "trust me"}
    seq = stage.work(lambda tx: tx.append(Entry("person.enrolled", "acme", body)))
    row = {"id": "mallory", "tenant": "acme", "roles": '["reviewer"]', "aliases": "[]", "enrolled_ms": 1}
    stage.sql(people.insert(), row)
    stage.sql(
        person_keys.insert(),
        {
            "kid": key.kid,
            "person": "mallory",
            "public_key": key.public_key,
            "enrolled_seq": min(seq, 1),
            "enrolled_ms": 1,
        },
    )
    insert_signed(stage, request, digest_of(stage, request), key)


# What somebody who can write the tables, but holds no person's key, may try.
TAMPERING: dict[str, Callable[[Stage, str], None]] = {
    "case_85: the state is set to approved": lambda stage, request: None,
    "a signature is made up": lambda stage, request: stage.sql(
        verdicts.insert(), verdict_row(request, signature="A" * 86)
    ),
    "case_34: a signature over another request is moved here": spliced,
    "the verdict of a revoked key is inserted": revoked_key,
    "a key that nobody enrolled is inserted": own_key,
}


@pytest.mark.parametrize("sentence", TAMPERING)
def test_a_row_written_by_hand_is_no_approval(stage: Stage, sentence: str) -> None:
    request = stage.request()
    TAMPERING[sentence](stage, request.id)
    stage.sql(approval_requests.update().where(approval_requests.c.id == request.id).values(state="approved"))
    assert stage.code(request) == "approval_pending"


def test_case_91_the_order_of_request_and_enrolment_is_the_logs_not_a_columns(stage: Stage) -> None:
    request = stage.request()
    late = stage.enrol("late", "reviewer")
    insert_signed(stage, request.id, request.digest, late)
    last = max(entry.seq for entry in stage.ledger.entries())
    for seq in (last, 1):
        stage.sql(approval_requests.update().values(state="approved", created_seq=seq))
        assert stage.code(request) == "approval_pending"


def lose_role(stage: Stage) -> None:
    stage.work(lambda tx: withdraw_roles(tx, "rita", frozenset({"reviewer"}), tenant="acme", by="rosa"))


def lose_everything(stage: Stage) -> None:
    stage.work(lambda tx: revoke_person(tx, "rita", tenant="acme", by="rosa"))


def lose_key(stage: Stage) -> None:
    kid = stage.keys["rita"].kid
    stage.work(lambda tx: revoke_person_key(tx, kid, tenant="acme", by="rosa"))


@pytest.mark.parametrize("losing", [lose_role, lose_everything, lose_key])
def test_case_35_whoever_lost_role_person_or_key_before_use_no_longer_counts(
    stage: Stage, losing: Callable[[Stage], None]
) -> None:
    request = stage.approved()
    losing(stage)
    assert stage.code(request) == "approval_pending"
    stage.judge(request, "remy")
    assert stage.code(request) == "done"


def test_case_28_what_is_no_token_finds_no_request(stage: Stage) -> None:
    request = stage.approved()
    token = stage.token(request)
    found = stage.ledger.read(lambda reading: find_by_token(reading, token))
    assert found is not None
    assert found.id == request.id
    for other in (stage.agent_key, token.upper(), token + " ", token[:-1], "", request.id, "apr_" + "0" * 26):
        assert stage.ledger.read(lambda reading, other=other: find_by_token(reading, other)) is None


def test_case_24_two_redemptions_of_one_approval_begin_one_execution(stage: Stage) -> None:
    request = stage.approved()
    codes = [stage.code(request) for _ in range(5)]
    assert codes == ["done", *["approval_spent"] * 4]


def test_case_41_many_at_once_on_two_open_ledgers_are_one_execution(stage: Stage, tmp_path: Path) -> None:
    request = stage.approved()
    url, clock = f"sqlite:///{tmp_path / 'ledger.db'}", stage.clock
    other = Ledger.open(url, stage.ring, origin=stage.ledger.origin, clock=lambda: clock[0])
    try:

        def spend(number: int) -> str:
            ledger = (stage.ledger, other)[number % 2]
            denial = ledger.transact_now(
                lambda tx: redeem(tx, request, a_call(), execution=f"exe_{number}", changed=(), busy=None)
            )
            return "done" if denial is None else denial.code

        with ThreadPoolExecutor(16) as pool:
            codes = list(pool.map(spend, range(100)))
    finally:
        other.close()
    assert sorted(codes) == ["approval_spent"] * 99 + ["done"]


def test_a_request_whose_log_entry_is_missing_counts_nobody(stage: Stage) -> None:
    request = stage.approved()
    entry = stage.ledger.read(
        lambda reading: reading.one(log.select().where(log.c.seq == request.created_seq))
    )
    assert entry is not None
    stage.sql(approval_requests.update().values(created_seq=request.created_seq + 1))
    assert stage.code(request) == "approval_pending"


def test_a_quorum_of_two_needs_two(stage: Stage) -> None:
    request = stage.approved(quorum=Quorum(2))
    assert request.state == "pending"
    assert stage.code(request) == "approval_pending"
    assert stage.judge(request, "remy").state == "approved"
    assert stage.code(request) == "done"
