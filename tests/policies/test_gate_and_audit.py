"""The gate's generation, and the audit that finds in a log what should not have happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.canonical import JsonObject
from ledger.entries import Entry, RestsOn, StoredEntry
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from policies.approvals import ApprovalRequest, revoke_request
from policies.audit_rules import check_complete
from policies.errors import PolicyError
from policies.gate_state import GateDigests, gate_denial, load_gate, read_gate, set_frozen
from policies.people import revoke_person, revoke_person_key, withdraw_roles
from policies.signing import new_personal_key
from tests.policies.stage import HOUR_MS, Stage, a_call

DIGESTS = GateDigests("sha256:policy", "sha256:catalogue", {"refund": "sha256:workflow"})


def test_loading_the_same_files_again_is_no_new_generation(stage: Stage) -> None:
    before = stage.ledger.read(read_gate)
    assert stage.work(lambda tx: load_gate(tx, DIGESTS, by="rosa")) == before
    after = stage.work(lambda tx: load_gate(tx, replace(DIGESTS, policy="sha256:new"), by="rosa"))
    assert after.generation == before.generation + 1
    assert stage.ledger.read(read_gate) == after
    assert len(list(stage.ledger.entries(kinds=["gate.loaded"]))) == 2


def test_freezing_is_logged_once_and_survives_a_reload(stage: Stage) -> None:
    def freeze(frozen: bool) -> bool:
        return stage.work(lambda tx: set_frozen(tx, frozen=frozen, by="rosa", reason="incident"))

    assert [freeze(True), freeze(True)] == [True, False]
    stage.work(lambda tx: load_gate(tx, replace(DIGESTS, policy="sha256:new"), by="rosa"))
    assert stage.ledger.read(read_gate).frozen
    assert [freeze(False), freeze(False)] == [True, False]
    kinds = [entry.kind for entry in stage.ledger.entries(kinds=["gate.frozen", "gate.unfrozen"])]
    assert kinds == ["gate.frozen", "gate.unfrozen"]


def test_a_folder_that_was_never_served_has_no_generation(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys")
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", ring, origin="bailiwick/test") as ledger:
        gate = ledger.read(read_gate)
        assert (gate.generation, gate.frozen) == (0, {})
        denial = gate_denial(gate, "sha256:policy", "sha256:catalogue")
        assert denial is not None
        assert denial.code == "unavailable"
        with pytest.raises(PolicyError, match="There is no gate in this folder yet"):
            ledger.transact_now(lambda tx: set_frozen(tx, frozen=True, by="rosa", reason=""))


def begin(
    stage: Stage, request: ApprovalRequest | None, execution: str = "exe_9", lease_ms: int = 60_000
) -> None:
    """Write down an execution, whether or not it should have begun."""
    lease = stage.clock[0] + lease_ms
    body: JsonObject = {
        "execution": execution,
        "request": request.id if request else "req_none",
        "lease_until_ms": lease,
    }
    stage.work(lambda tx: tx.append(Entry("execution.begun", "acme", body, run="run_1")))


def settle(stage: Stage, execution: str = "exe_9") -> None:
    body: JsonObject = {"execution": execution, "state": "succeeded"}
    stage.work(lambda tx: tx.append(Entry("execution.settled", "acme", body, run="run_1")))


def serve(stage: Stage, run: str = "run_1") -> None:
    stage.work(lambda tx: tx.append(Entry("bundle.served", "acme", {"bundle": "bnd_1"}, run=run)))


def faults(stage: Stage) -> list[str]:
    return list(check_complete(stage.ledger.entries()))


def test_a_log_of_what_the_gate_allowed_is_complete(stage: Stage) -> None:
    serve(stage)
    request = stage.approved()
    assert stage.code(request) == "done"
    begin(stage, request, "exe_1")
    assert faults(stage) == []
    settle(stage, "exe_1")
    stage.work(lambda tx: revoke_request(tx, request.id, by="rita", reason="late"))
    stage.work(lambda tx: revoke_person(tx, "rita", tenant="acme", by="rosa"))
    stage.clock[0] += HOUR_MS
    stage.enrol("nora", "reviewer")
    assert faults(stage) == []


def denied(stage: Stage) -> None:
    request = stage.approved()
    stage.judge(request, "remy", "deny")
    begin(stage, request)


def twice(stage: Stage) -> None:
    request = stage.approved()
    begin(stage, request, "exe_1")
    begin(stage, request, "exe_2")


def after_revocation(stage: Stage) -> None:
    request = stage.approved()
    stage.work(lambda tx: revoke_request(tx, request.id, by="rita", reason=""))
    begin(stage, request)


def expired(stage: Stage) -> None:
    request = stage.approved()
    stage.clock[0] += 2 * HOUR_MS
    begin(stage, request)


def role_lost(stage: Stage) -> None:
    request = stage.approved()
    stage.work(lambda tx: withdraw_roles(tx, "rita", frozenset({"reviewer"}), tenant="acme", by="rosa"))
    begin(stage, request)


def key_lost(stage: Stage) -> None:
    request = stage.approved()
    kid = stage.keys["rita"].kid
    stage.work(lambda tx: revoke_person_key(tx, kid, tenant="acme", by="rosa"))
    begin(stage, request)


def append(stage: Stage, kind: str, body: JsonObject, *, edges: tuple[RestsOn, ...] = ()) -> None:
    stage.work(lambda tx: tx.append(Entry(kind, "acme", body, run="run_1", rests_on=edges)))


def last(stage: Stage, kind: str) -> StoredEntry:
    return list(stage.ledger.entries(kinds=[kind]))[-1]


def forged_verdict(stage: Stage) -> None:
    request = stage.approved()
    body = last(stage, "approval.judged").body
    append(stage, "approval.judged", {**body, "reviewer": "remy", "kid": stage.keys["remy"].kid})
    assert request.state == "approved"


def other_call(stage: Stage) -> None:
    stage.request()
    body = last(stage, "approval.requested").body
    cheaper = a_call(arguments={"order_id": "o-1", "amount": 1}).as_json()["arguments"]
    call = body["call"]
    assert isinstance(call, dict)
    changed: JsonObject = {**call, "arguments": cheaper}
    append(stage, "approval.requested", {**body, "request": "req_2", "call": changed})


def forged_enrolment(stage: Stage) -> None:
    body = last(stage, "person.enrolled").body
    other = new_personal_key("eve")
    statement = body["statement"]
    assert isinstance(statement, dict)
    forged: JsonObject = {**statement, "person": "eve", "public_key": other.public_key}
    append(stage, "person.enrolled", {**body, "person": "eve", "kid": other.kid, "statement": forged})


def not_shown(stage: Stage) -> None:
    stage.request(a_call(evidence=("bnd_2",)))


FAULTS: dict[str, tuple[str, Callable[[Stage], None]]] = {
    "case_62: an effect without a request": ("without an approval request", lambda s: begin(s, None)),
    "case_62: an effect without approval": ("approval_pending", lambda s: begin(s, s.request())),
    "case_62: a redemption without outcome": (
        "no entry gives its outcome",
        lambda s: begin(s, s.approved(), lease_ms=-10),
    ),
    "an outcome of nothing": ("never begun", settle),
    "an effect after a denial": ("approval_denied", denied),
    "an effect after a revocation": ("approval_revoked", after_revocation),
    "an effect after expiry": ("approval_expired", expired),
    "two effects of one approval": ("approval_spent", twice),
    "an effect after the role was lost": ("approval_pending", role_lost),
    "an effect after the key was revoked": ("approval_pending", key_lost),
    "a verdict that its reviewer did not sign": ("no enrolled key of remy signed", forged_verdict),
    "a verdict about nothing": ("about no request", lambda s: append(s, "approval.judged", {})),
    "a call that does not have its digest": ("not the one it has the digest of", other_call),
    "a request that takes back nothing": ("never made", lambda s: append(s, "approval.revoked", {})),
    "an enrolment that nobody signed": ("without the signature", forged_enrolment),
    "a revocation of nobody": ("revokes nobody", lambda s: append(s, "person.revoked", {})),
    "evidence that the run was never shown": ("was never shown", not_shown),
}


@pytest.mark.parametrize("sentence", FAULTS)
def test_what_should_not_have_happened_is_found_and_named(stage: Stage, sentence: str) -> None:
    message, happen = FAULTS[sentence]
    serve(stage)
    happen(stage)
    stage.work(lambda tx: tx.append(Entry("run.closed", "acme", {}, run="run_1")))
    found = faults(stage)
    assert any(message in fault for fault in found), found
    assert all(fault.startswith("Entry ") for fault in found)


def test_a_bundle_that_another_run_was_shown_does_not_count(stage: Stage) -> None:
    serve(stage, run="run_2")
    stage.request()
    assert ["was never shown" in fault for fault in faults(stage)] == [True]
