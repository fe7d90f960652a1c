"""A person's new key in the place of the older ones, in one transaction."""

from __future__ import annotations

from ledger.transaction import Transaction
from policies.agreements import Agreement
from policies.enrolling import enrol_person
from policies.enrolments import SignedEnrolment
from policies.errors import EnrolmentRefused
from policies.people import declared_person, holder_of_key, keys_of_people, revoke_person_key
from policies.principals import Person


def replace_key(
    tx: Transaction,
    signed: SignedEnrolment,
    *,
    by: str,
    keep: bool = False,
    agreement: Agreement | None = None,
) -> tuple[Person, list[str]]:
    """Enrol a new key for a person who is known, and take their older ones out of force in the same
    transaction unless `keep`. Gives the person, and the ids of the keys that fell.

    Their approvals by those keys that were not used yet fall with them, and the new key judges later requests
    only.
    """
    person = signed.enrolment.person
    known = declared_person(tx, person.id, person.tenant)
    if known != person:
        raise EnrolmentRefused(
            f"{person.id} has other roles or names now; a new key changes neither: sign it again."
        )
    before = [kid for kid in keys_of_people(tx, {person.id}) if holder_of_key(tx, kid) is not None]
    enrol_person(tx, signed, by=by, agreement=agreement)
    fallen = [] if keep else [kid for kid in before if kid != signed.enrolment.kid]
    for kid in fallen:
        revoke_person_key(tx, kid, tenant=person.tenant, by=by)
    return person, fallen
