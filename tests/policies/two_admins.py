"""Two admins who sign an act, as the command line has them do it: for tests that stand below it."""

from __future__ import annotations

from ledger.canonical import JsonObject
from ledger.ids import random_token
from ledger.transaction import Transaction
from policies.acts import propose_act, sign_act
from policies.agreements import SIGN_ACT, Agreement
from policies.enrolling import enrol_person
from policies.enrolments import SignedEnrolment
from policies.operations import SignedOperation, sign_operation
from policies.principals import Person
from policies.signing import PersonalKey


def asked(tx: Transaction, key: PersonalKey, op: str, args: JsonObject) -> SignedOperation:
    """What somebody signs to have an operation done, now."""
    return sign_operation(key, op, args, at=tx.now_ms, nonce=random_token("non"))


def agreement_on(
    tx: Transaction, op: str, args: JsonObject, first: PersonalKey, second: PersonalKey
) -> Agreement:
    """The act that `first` proposes and `second` signs."""
    act = propose_act(tx, op, args, ["it lowers the gate"], asked=asked(tx, first, op, args))
    agreed = asked(tx, second, SIGN_ACT, {"act": act.id, "digest": act.digest})
    return sign_act(tx, act.id, act.digest, agreed=agreed)[0]


def enrolment_as_args(signed: SignedEnrolment) -> JsonObject:
    """The arguments of `person.add` for this enrolment."""
    person = signed.enrolment.person
    return {
        "person": person.id,
        "roles": [*sorted(person.roles)],
        "aliases": [*sorted(person.aliases)],
        "public_key": signed.enrolment.public_key,
        "signed_by": signed.signed_by,
        "signature": signed.signature,
    }


def enrol_by_two(tx: Transaction, signed: SignedEnrolment, first: PersonalKey, second: PersonalKey) -> Person:
    """Enrol somebody by the signatures of two admins."""
    agreement = agreement_on(tx, "person.add", enrolment_as_args(signed), first, second)
    return enrol_person(tx, signed, by=first.person, agreement=agreement)
