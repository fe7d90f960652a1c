"""Judging: who may approve, and how distinct humans with distinct keys are counted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from policies.approvals import JudgementRefused, find_request, record_verdict
from policies.call import Quorum
from policies.errors import EnrolmentRefused
from policies.people import withdraw_roles
from policies.signing import new_personal_key
from policies.verdicts import SignedVerdict, Verdict, sign_verdict
from tests.policies.stage import HOUR_MS, Stage

REFUSED: dict[str, tuple[str, Callable[[Stage], None]]] = {
    "case_31: the agent's owner": ("owen", lambda stage: None),
    "case_31: an alias of the owner, named by the owner": (
        "rita",
        lambda stage: alias_of_owner(stage, named_by="owen", other="rita"),
    ),
    "case_31: an alias of the owner, named by themselves": (
        "rita",
        lambda stage: alias_of_owner(stage, named_by="rita", other="owen"),
    ),
    "case_30: a person who is the requesting agent by another name": (
        "zoe",
        lambda stage: enrol(stage, "zoe", "reviewer", aliases=frozenset({"clerk"})),
    ),
    "case_92: somebody who is no reviewer": ("cora", lambda stage: enrol(stage, "cora", "curator")),
    "case_11: a reviewer of another tenant": (
        "gus",
        lambda stage: enrol(stage, "gus", "reviewer", tenant="globex"),
    ),
}


def enrol(
    stage: Stage, name: str, *roles: str, tenant: str = "acme", aliases: frozenset[str] = frozenset()
) -> None:
    stage.enrol(name, *roles, tenant=tenant, aliases=aliases)


def alias_of_owner(stage: Stage, *, named_by: str, other: str) -> None:
    """A new enrolment of `named_by`, with the same key, that names `other` as the same human."""
    stage.enrol(named_by, "reviewer", aliases=frozenset({other}), key=stage.keys[named_by])


@pytest.mark.parametrize("sentence", REFUSED)
def test_whoever_must_not_approve_is_refused_at_once(stage: Stage, sentence: str) -> None:
    name, prepare = REFUSED[sentence]
    prepare(stage)
    request = stage.request()
    with pytest.raises(JudgementRefused):
        stage.judge(request, name)
    assert stage.code(request) == "approval_pending"


def test_case_91_a_reviewer_enrolled_after_the_request_judges_later_ones_only(stage: Stage) -> None:
    request = stage.request()
    stage.enrol("late", "reviewer")
    with pytest.raises(JudgementRefused, match="enrolled after the request"):
        stage.judge(request, "late")


def test_case_91_a_further_role_does_not_reach_back(stage: Stage) -> None:
    stage.enrol("cora", "curator")
    request = stage.request()
    stage.enrol("cora", "curator", "reviewer", key=stage.keys["cora"])
    with pytest.raises(JudgementRefused, match="enrolled after the request"):
        stage.judge(request, "cora")


def test_an_alias_that_is_learned_after_the_approval_takes_it_away(stage: Stage) -> None:
    request = stage.approved()
    stage.enrol("owen", "reviewer", aliases=frozenset({"rita"}), key=stage.keys["owen"])
    assert stage.code(request) == "approval_pending"


def test_without_four_eyes_the_owner_may_approve(stage: Stage) -> None:
    request = stage.request(quorum=Quorum(1, four_eyes=False))
    assert stage.judge(request, "owen").state == "approved"
    assert stage.code(request) == "done"


def test_the_owner_may_always_deny(stage: Stage) -> None:
    assert stage.judge(stage.request(), "owen", "deny").state == "denied"


def test_case_32_one_human_with_two_keys_counts_once(stage: Stage) -> None:
    second = new_personal_key("rita")
    stage.enrol("rita", "reviewer", key=second)
    request = stage.request(quorum=Quorum(2))
    stage.judge(request, "rita")
    assert stage.judge(request, "rita", key=second).state == "pending"
    assert stage.judge(request, "remy").state == "approved"


def test_case_33_one_key_cannot_be_enrolled_under_two_names(stage: Stage) -> None:
    with pytest.raises(EnrolmentRefused, match="somebody else"):
        stage.enrol("twin", "reviewer", key=stage.keys["rita"])


@pytest.mark.parametrize("named_by", ["rita", "remy", "ines"])
def test_names_that_are_one_human_count_once_whoever_says_so(stage: Stage, named_by: str) -> None:
    aliases = {"rita": {"remy"}, "remy": {"rita"}, "ines": {"rita", "remy"}}[named_by]
    key = stage.keys.get(named_by)
    stage.enrol(named_by, "reviewer", aliases=frozenset(aliases), key=key)
    request = stage.request(quorum=Quorum(2))
    stage.judge(request, "rita")
    assert stage.judge(request, "remy").state == "pending"


def test_the_same_verdict_twice_is_taken_once(stage: Stage) -> None:
    request = stage.request(quorum=Quorum(2))
    signed = sign_verdict(stage.keys["rita"], request.digest, "approve", at=stage.clock[0])
    for _ in range(2):
        assert stage.work(lambda tx: record_verdict(tx, request.id, signed)).state == "pending"
    assert len(list(stage.ledger.entries(kinds=["approval.judged"]))) == 1


def test_a_verdict_names_its_signer(stage: Stage) -> None:
    request = stage.request()
    signed = sign_verdict(stage.keys["rita"], request.digest, "approve", at=stage.clock[0])
    forged = SignedVerdict(
        Verdict(request.digest, "approve", "remy", signed.verdict.at), signed.kid, signed.signature
    )
    with pytest.raises(JudgementRefused, match="not a key of remy"):
        stage.work(lambda tx: record_verdict(tx, request.id, forged))


@pytest.mark.parametrize("off_ms", [-40_000, 40_000, -(10**15)])
def test_case_26_a_verdict_dated_elsewhen_is_refused(stage: Stage, off_ms: int) -> None:
    request = stage.request()
    signed = sign_verdict(stage.keys["rita"], request.digest, "approve", at=stage.clock[0] + off_ms)
    with pytest.raises(JudgementRefused, match="clock"):
        stage.work(lambda tx: record_verdict(tx, request.id, signed))


def test_what_is_over_cannot_be_judged(stage: Stage) -> None:
    request = stage.approved()
    assert stage.code(request) == "done"
    with pytest.raises(JudgementRefused, match="executing"):
        stage.judge(request, "remy", "deny")
    expired = stage.request(lifetime_ms=5)
    stage.clock[0] += HOUR_MS
    with pytest.raises(JudgementRefused, match="expired"):
        stage.judge(expired, "remy")
    unknown = sign_verdict(stage.keys["rita"], "sha256:0", "approve", at=stage.clock[0])
    with pytest.raises(JudgementRefused, match="no request"):
        stage.work(lambda tx: record_verdict(tx, "req_none", unknown))


def test_a_role_lost_before_the_verdict_counts_for_nothing(stage: Stage) -> None:
    request = stage.request()
    stage.work(lambda tx: withdraw_roles(tx, "rita", frozenset({"reviewer"}), tenant="acme", by="rosa"))
    with pytest.raises(JudgementRefused, match="no reviewer"):
        stage.judge(request, "rita")
    found = stage.ledger.read(lambda reading: find_request(reading, request.id))
    assert found is not None
    assert found.state == "pending"
