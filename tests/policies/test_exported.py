"""Exported approvals: a proof for whoever trusts the root key, in one spelling, and refused in any other."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import canonical
from ledger.clock import rfc3339
from ledger.keyring import Signed, key_id
from ledger.lookup import raw_entry_at
from policies.approvals import ApprovalRequest, revoke_request
from policies.call import Quorum
from policies.enrolments import sign_enrolment
from policies.errors import EnrolmentRefused
from policies.exported import ExportRefused, export_approval, verify_export
from policies.key_replacement import replace_key
from policies.people import revoke_person_key
from policies.principals import Person
from policies.server_keys import EXPORT, ServerKey, sign_server_key, vouch, voucher_seq
from policies.signing import b64url, new_personal_key
from tests.policies.stage import HOUR_MS, Stage, set_stage

ORIGIN = "bailiwick/test"


def newest(stage: Stage) -> tuple[str, bytes]:
    return list(stage.ring.public_keys("export").items())[-1]


def vouched(stage: Stage, by: str = "rosa", origin: str = ORIGIN, purpose: str = EXPORT) -> None:
    """An administrator signs for the server's export key."""
    key = ServerKey(origin, purpose, b64url(newest(stage)[1]))
    stage.work(lambda tx: vouch(tx, sign_server_key(stage.keys[by], key), by=by))


def exported(stage: Stage, request: ApprovalRequest) -> str:
    """The approval as the server would export it, resting on the whole log."""
    entries = list(stage.ledger.entries())
    raws = [stage.ledger.read(lambda reading, seq=entry.seq: raw_entry_at(reading, seq)) for entry in entries]
    return export_approval(
        request.id,
        request.call,
        [raw for raw in raws if raw is not None],
        origin=ORIGIN,
        now_ms=stage.clock[0],
        kid=newest(stage)[0],
        sign=lambda message: stage.ring.sign("export", message),
    )


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage that only lends its keys: nothing in it changes any more."""
    stage = set_stage(tmp_path_factory.mktemp("office"))
    vouched(stage)
    yield stage
    stage.ledger.close()


@pytest.fixture(scope="module")
def proof(office: Stage) -> str:
    return exported(office, office.approved())


def root(stage: Stage) -> str:
    return stage.keys["rosa"].public_key


def parts(text: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    header, claims, signature = text.split(".")
    read = [json.loads(base64.urlsafe_b64decode(part + "==")) for part in (header, claims)]
    return read[0], read[1], signature


def resigned(stage: Stage, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """The parts, signed again with the server's own key: so nothing but their content can be wrong."""
    message = f"{b64url(canonical(header))}.{b64url(canonical(claims))}"
    return f"{message}.{b64url(stage.ring.sign('export', message.encode()).signature)}"


def test_an_exported_approval_proves_who_approved_which_call(office: Stage, proof: str) -> None:
    proven = verify_export(proof, root(office), office.clock[0])
    assert (proven.approved_by, proven.owner, proven.execution) == (("rita",), "owen", None)
    assert proven.call.arguments == {"order_id": "o-1", "amount": 20}
    assert parts(proof)[0] == {"alg": "Ed25519", "kid": newest(office)[0], "typ": "approval+jwt"}


def none(stage: Stage, text: str) -> str:
    header, claims, _ = parts(text)
    return f"{b64url(canonical({**header, 'alg': 'none'}))}.{b64url(canonical(claims))}."


def hs256(stage: Stage, text: str) -> str:
    """Signed with the public key as if it were a shared secret."""
    header, claims, _ = parts(text)
    message = f"{b64url(canonical({**header, 'alg': 'HS256'}))}.{b64url(canonical(claims))}"
    return f"{message}.{b64url(hmac.digest(newest(stage)[1], message.encode(), 'sha256'))}"


def header_with(**changes: Any) -> Callable[[Stage, str], str]:
    def change(stage: Stage, text: str) -> str:
        header, claims, _ = parts(text)
        return resigned(stage, {**header, **changes}, claims)

    return change


def claims_with(**changes: Any) -> Callable[[Stage, str], str]:
    def change(stage: Stage, text: str) -> str:
        header, claims, _ = parts(text)
        return resigned(stage, header, {**claims, **changes})

    return change


def another_argument(stage: Stage, text: str) -> str:
    header, claims, _ = parts(text)
    claims["call"]["arguments"]["amount"] = 2000
    return resigned(stage, header, claims)


def without_the_verdict(stage: Stage, text: str) -> str:
    header, claims, _ = parts(text)
    claims["entries"] = [entry for entry in claims["entries"] if entry["kind"] != "approval.judged"]
    return resigned(stage, header, claims)


def without_the_reviewers_enrolment(stage: Stage, text: str) -> str:
    header, claims, _ = parts(text)
    claims["entries"] = [entry for entry in claims["entries"] if entry["body"].get("person") != "rita"]
    return resigned(stage, header, claims)


def a_reviewer_of_ones_own(stage: Stage, text: str) -> str:
    """The verdict, signed by a key that somebody swapped into the reviewer's enrolment."""
    header, claims, _ = parts(text)
    for entry in claims["entries"]:
        if entry["body"].get("person") == "rita":
            entry["body"]["statement"]["public_key"] = new_personal_key("rita").public_key
    return resigned(stage, header, claims)


def twice_in_the_claims(stage: Stage, text: str) -> str:
    header, claims, _ = text.split(".")
    raw = base64.urlsafe_b64decode(claims + "==")
    twice = raw[:-1] + b',"exp":9999999999}'
    message = f"{header}.{b64url(twice)}"
    return f"{message}.{b64url(stage.ring.sign('export', message.encode()).signature)}"


def loosely_spelled(stage: Stage, text: str) -> str:
    header, claims, _ = text.split(".")
    raw = base64.urlsafe_b64decode(claims + "==")
    message = f"{header}.{b64url(raw.replace(b':', b': ', 1))}"
    return f"{message}.{b64url(stage.ring.sign('export', message.encode()).signature)}"


def signed_by_a_stranger(stage: Stage, text: str) -> str:
    header, claims, _ = parts(text)
    key = Ed25519PrivateKey.generate()
    kid = key_id(key.public_key().public_bytes_raw())
    message = f"{b64url(canonical({**header, 'kid': kid}))}.{b64url(canonical(claims))}"
    return f"{message}.{b64url(key.sign(message.encode()))}"


def stranger_under_our_kid(stage: Stage, text: str) -> str:
    message = text.rpartition(".")[0]
    return f"{message}.{b64url(Ed25519PrivateKey.generate().sign(message.encode()))}"


def other_s(_stage: Stage, text: str) -> str:
    """The same signature with S + L: malleable where S is not held below the order of the group."""
    message, _, signature = text.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    order = 2**252 + 27742317777372353535851937790883648493
    s = int.from_bytes(raw[32:], "little") + order
    return f"{message}.{b64url(raw[:32] + s.to_bytes(32, 'little'))}"


def unused_bits(_stage: Stage, text: str) -> str:
    """The last character of a part carries bits that a lenient decoder drops."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + alphabet[alphabet.index(text[-1]) + 1]


REFUSED: dict[str, tuple[Callable[[Stage, str], str], str]] = {
    "case_22: alg none": (none, "algorithm is 'none'"),
    "case_22: alg HS256 over the public key": (hs256, "algorithm is 'HS256'"),
    "case_22: alg EdDSA instead of the pinned one": (header_with(alg="EdDSA"), "algorithm is 'EdDSA'"),
    "case_22: alg in other letters": (header_with(alg="ed25519"), "algorithm is"),
    "case_23: a wrong typ": (header_with(typ="JWT"), "type is 'JWT'"),
    "case_23: an unknown kid": (signed_by_a_stranger, "no administrator vouched for"),
    "case_23: a kid that is no text": (header_with(kid=7), "exactly alg, typ and kid"),
    "case_23: an unknown crit": (header_with(crit=["exp"]), "extension"),
    "case_23: a key that it brings itself": (header_with(jwk={"kty": "OKP"}), "exactly alg, typ and kid"),
    "case_23: claims twice": (twice_in_the_claims, "stands twice"),
    "case_23: a claim more": (claims_with(admin=True), "claims are not those"),
    "case_24: another S": (other_s, "signature is not good"),
    "case_24: unused bits": (unused_bits, "one spelling"),
    "case_24: padding": (lambda _s, t: t + "==", "one spelling"),
    "case_24: a space": (lambda _s, t: t + " ", "one spelling"),
    "case_24: a line break inside": (lambda _s, t: t[:40] + "\n" + t[40:], "one spelling"),
    "case_24: four parts": (lambda _s, t: t + ".e30", "one spelling"),
    "case_24: white space in the claims": (loosely_spelled, "not spelled as it was exported"),
    "another signer under our kid": (stranger_under_our_kid, "signature is not good"),
    "another argument": (another_argument, "not the one that was asked for"),
    "another digest": (claims_with(digest="sha256:00"), "not the one that was asked for"),
    "another request": (claims_with(sub="req_other"), "not the one that was asked for"),
    "another log": (claims_with(iss="bailiwick/other"), "no administrator vouched for"),
    "a later expiry": (claims_with(exp=9_999_999_999), "times are not those"),
    "without its verdict": (without_the_verdict, "approval_pending"),
    "without the enrolment of its reviewer": (without_the_reviewers_enrolment, "entries do not hold"),
    "with a reviewer of one's own": (a_reviewer_of_ones_own, "entries do not hold"),
    "no entries": (claims_with(entries=[]), "another root key"),
    "nothing": (lambda _s, _t: "", "one spelling"),
    "a token": (lambda _s, _t: "apr_" + "0" * 26, "one spelling"),
    "very long": (lambda _s, t: t + "A" * 5_000_000, "longer than"),
}


@pytest.mark.parametrize(("change", "why"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_exactly_the_export_proves_nothing(
    office: Stage, proof: str, change: Callable[[Stage, str], str], why: str
) -> None:
    with pytest.raises(ExportRefused, match=why):
        verify_export(change(office, proof), root(office), office.clock[0])


def test_case_25_it_proves_nothing_before_or_after_its_time_but_what_it_proved_then(
    office: Stage, proof: str
) -> None:
    call = verify_export(proof, root(office), office.clock[0]).call
    with pytest.raises(ExportRefused, match="not good before"):
        verify_export(proof, root(office), call.not_before - 1)
    with pytest.raises(ExportRefused, match=f"--at {rfc3339(call.expires - 1)}"):
        verify_export(proof, root(office), call.expires)
    assert verify_export(proof, root(office), call.expires - 1).approved_by == ("rita",)


def test_another_root_key_proves_nothing(office: Stage, proof: str) -> None:
    with pytest.raises(ExportRefused, match="another root key"):
        verify_export(proof, office.keys["rita"].public_key, office.clock[0])


def test_an_approval_that_was_taken_back_proves_nothing_and_a_spent_one_stays_a_proof(stage: Stage) -> None:
    vouched(stage)
    request = stage.approved()
    before = exported(stage, request)
    stage.work(lambda tx: revoke_request(tx, request.id, by="rita", reason="a mistake"))
    with pytest.raises(ExportRefused, match="approval_revoked"):
        verify_export(exported(stage, request), root(stage), stage.clock[0])
    # What left before stays what it was: a proof of that time. The log tells what came later.
    assert verify_export(before, root(stage), stage.clock[0]).execution is None


def test_case_32_and_case_33_one_human_or_one_key_is_one_approval_in_an_export_too(stage: Stage) -> None:
    vouched(stage)
    second = stage.enrol("rita", "reviewer", key=new_personal_key("rita"))
    request = stage.request(quorum=Quorum(2))
    stage.judge(request, "rita")
    stage.judge(request, "rita", key=second)
    with pytest.raises(ExportRefused, match="approval_pending"):
        verify_export(exported(stage, request), root(stage), stage.clock[0])


def test_a_key_that_was_replaced_opens_nothing_and_its_old_proofs_stay(stage: Stage) -> None:
    vouched(stage)
    request = stage.approved()
    before = exported(stage, request)
    fresh = new_personal_key("rita")
    rita = Person("rita", "acme", frozenset({"reviewer"}))
    signed = sign_enrolment(stage.keys["rosa"], rita, fresh.public_key)
    _, fallen = stage.work(lambda tx: replace_key(tx, signed, by="rosa"))
    assert fallen == [stage.keys["rita"].kid]
    assert stage.code(request) == "approval_pending"
    assert verify_export(before, root(stage), stage.clock[0]).approved_by == ("rita",)
    with pytest.raises(ExportRefused, match="approval_pending"):
        verify_export(exported(stage, request), root(stage), stage.clock[0])
    # The new key judges what is asked from now on.
    later = stage.request(quorum=None, lifetime_ms=2 * HOUR_MS)
    assert later.id == request.id
    stage.work(lambda tx: revoke_request(tx, request.id, by="rosa", reason="signed with a key that fell"))
    again = stage.request()
    assert stage.judge(again, "rita", key=fresh).state == "approved"
    assert stage.code(again) == "done"


def test_a_replacement_changes_neither_roles_nor_names(stage: Stage) -> None:
    more = Person("rita", "acme", frozenset({"reviewer", "admin"}))
    signed = sign_enrolment(stage.keys["rosa"], more, new_personal_key("rita").public_key)
    with pytest.raises(EnrolmentRefused, match="changes neither"):
        stage.work(lambda tx: replace_key(tx, signed, by="rosa"))


def test_the_root_can_be_replaced_and_everything_it_vouched_for_stays(stage: Stage) -> None:
    vouched(stage)
    fresh = new_personal_key("rosa")
    rosa = Person("rosa", "acme", frozenset({"admin", "curator"}))
    signed = sign_enrolment(stage.keys["rosa"], rosa, fresh.public_key)
    _, fallen = stage.work(lambda tx: replace_key(tx, signed, by="rosa"))
    assert fallen == [stage.keys["rosa"].kid]
    request = stage.approved()
    assert verify_export(exported(stage, request), root(stage), stage.clock[0]).approved_by == ("rita",)
    assert stage.code(request) == "done"


def test_only_an_admin_vouches_for_a_key_of_the_server_and_only_for_its_purpose(stage: Stage) -> None:
    kid, public_key = newest(stage)
    with pytest.raises(EnrolmentRefused, match="an admin"):
        vouched(stage, by="rita")
    key = ServerKey(ORIGIN, EXPORT, b64url(public_key))
    forged = sign_server_key(stage.keys["rita"], key)
    with pytest.raises(EnrolmentRefused, match="sign it again"):
        stage.work(lambda tx: vouch(tx, replace(forged, signed_by=stage.keys["rosa"].kid), by="rosa"))
    assert stage.ledger.read(lambda reading: voucher_seq(reading, kid)) is None
    vouched(stage, purpose="head")
    request = stage.approved()
    with pytest.raises(ExportRefused, match="no administrator vouched for"):
        verify_export(exported(stage, request), root(stage), stage.clock[0])


def test_a_revoked_key_is_told_in_the_export(stage: Stage) -> None:
    vouched(stage)
    request = stage.approved()
    kid = stage.keys["rita"].kid
    stage.work(lambda tx: revoke_person_key(tx, kid, tenant="acme", by="rosa"))
    with pytest.raises(ExportRefused, match="approval_pending"):
        verify_export(exported(stage, request), root(stage), stage.clock[0])


@given(st.text(alphabet=st.characters(max_codepoint=0x2FF), max_size=200))
def test_any_text_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(ExportRefused):
        verify_export(text, b64url(hashlib.sha256(b"root").digest()), 0)


@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=60))
def test_any_three_parts_are_refused_in_one_sentence(first: bytes, second: bytes, third: bytes) -> None:
    text = ".".join(b64url(part) for part in (first, second, third))
    with pytest.raises(ExportRefused):
        verify_export(text, b64url(hashlib.sha256(b"root").digest()), 0)


def test_a_key_that_changes_while_exporting_is_noticed(stage: Stage) -> None:
    request = stage.approved()
    with pytest.raises(ExportRefused, match="export again"):
        export_approval(
            request.id,
            request.call,
            [],
            origin=ORIGIN,
            now_ms=0,
            kid="0" * 16,
            sign=lambda _message: Signed("1" * 16, b""),
        )
