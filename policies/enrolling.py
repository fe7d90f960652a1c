"""Enrolling people: an admin's signature brings somebody in, and two admins' give power over the gate.

Whoever may judge or administer opens the gate, and so does a human of whom it is no longer said which names
are theirs. Since there was a second admin, such an enrolment is written down with what both of them signed.
"""

from __future__ import annotations

from collections.abc import Iterable

from ledger.canonical import JsonObject, JsonValue, canonical
from ledger.entries import Entry
from ledger.transaction import Reading, Transaction
from policies.agreements import Agreement, Signatory
from policies.enrolments import SignedEnrolment, may_enrol, powers_of, sign_enrolment
from policies.errors import EnrolmentRefused
from policies.gate_state import note_people
from policies.people import (
    all_names_of,
    declared_names,
    holder_of_key,
    is_single_handed,
    root_kid,
    signatory_of_key,
)
from policies.principals import Person
from policies.signing import PersonalKey
from policies.tables import agents, people, person_keys, second_admin, trust_root


def enrol_root(tx: Transaction, person: Person, key: PersonalKey) -> None:
    """Make `person` the first administrator, and `key` the root of this installation; once, at its
    founding.
    """
    if tx.one(trust_root.select()) is not None:
        raise EnrolmentRefused(
            "This folder has a root key already; ask its administrator to enrol further people."
        )
    if "admin" not in person.roles:
        raise EnrolmentRefused("The first person enrols all others, so they need the role admin.")
    signed = sign_enrolment(key, person, key.public_key)
    seq = _store(tx, signed, by=person.id, vouched_by=None)
    tx.execute(trust_root.insert(), {"id": 1, "kid": key.kid, "seq": seq})


def enrol_person(
    tx: Transaction, signed: SignedEnrolment, *, by: str, agreement: Agreement | None = None
) -> Person:
    """Enrol a person, a further key, or new roles for a key, as the administrator `by` has signed, and
    another one too where that lowers the gate.

    A new statement about a known key replaces the old one; what was requested before, that key no longer
    judges.
    """
    person = signed.enrolment.person
    issuer, root = holder_of_key(tx, signed.signed_by), tx.one(trust_root.select())
    if issuer is None or root is None or issuer.person.id != by:
        raise EnrolmentRefused(
            f"{signed.signed_by[:64]} is no key of {by} that is in force here; sign with your own."
        )
    if not signed.is_signed_with(issuer.public_key):
        raise EnrolmentRefused("The signature is not over exactly this enrolment; sign it again.")
    if signed.is_self_signed or not may_enrol(issuer.person, person, is_root=issuer.kid == root.kid):
        raise EnrolmentRefused(
            f"{by} cannot enrol this key in tenant {person.tenant}; another administrator has to."
        )
    if agreement is not None:
        _refuse_disagreement(tx, signed, agreement)
    elif not is_single_handed(tx) and (why := how_it_lowers(tx, person)):
        raise EnrolmentRefused(f"{why[0]}, which takes two admins: `bailiwick person add` proposes it.")
    _store(tx, signed, by=by, vouched_by=issuer.enrolled_seq, agreement=agreement)
    return person


def how_it_lowers(reading: Reading, person: Person) -> tuple[str, ...]:
    """How it lowers the gate to enrol this person, as sentences; empty when it does not."""
    powers = powers_of(person)
    gone = sorted(declared_names(reading, person.id) - person.aliases)
    return (
        *([f"{person.id} becomes {' and '.join(powers)}"] if powers else []),
        *(f"{person.id} is no longer the same human as {name}" for name in gone),
    )


def _refuse_disagreement(reading: Reading, signed: SignedEnrolment, agreement: Agreement) -> None:
    """Refuse what two admins who hold their keys now did not sign for exactly this enrolment."""
    first, second = (signatory_of_key(reading, one.kid) for one in (agreement.asked, agreement.agreed))
    agreed = (
        first is not None
        and second is not None
        and agreement.is_about(signed)
        and agreement.is_of_two(first, second, root_kid(reading))
        and agreement.seconded_by == _enrolled_in(reading, second)
    )
    if not agreed:
        raise EnrolmentRefused("Two admins did not sign for exactly this enrolment; propose it anew.")


def _enrolled_in(reading: Reading, signatory: Signatory) -> int | None:
    holder = holder_of_key(reading, signatory.kid)
    return None if holder is None else holder.enrolled_seq


def _store(
    tx: Transaction,
    signed: SignedEnrolment,
    *,
    by: str,
    vouched_by: int | None,
    agreement: Agreement | None = None,
) -> int:
    person, kid = signed.enrolment.person, signed.enrolment.kid
    _refuse_conflict(tx, person, kid)
    body: JsonObject = signed.as_json(vouched_by, None if agreement is None else agreement.as_json())
    seq = tx.append(Entry("person.enrolled", person.tenant, body, principal=by))
    standing = {"roles": _as_text(person.roles), "aliases": _as_text(person.aliases)}
    if tx.execute(people.update().where(people.c.id == person.id).values(**standing)).rowcount == 0:
        fresh = {"id": person.id, "tenant": person.tenant, "enrolled_ms": tx.now_ms}
        tx.execute(people.insert(), fresh | standing)
    replaced = person_keys.update().where(person_keys.c.kid == kid)
    if tx.execute(replaced.values(enrolled_seq=seq, enrolled_ms=tx.now_ms)).rowcount == 0:
        key = {"kid": kid, "person": person.id, "public_key": signed.enrolment.public_key}
        tx.execute(person_keys.insert(), key | {"enrolled_seq": seq, "enrolled_ms": tx.now_ms})
    note_people(tx, seq)
    _note_second_admin(tx, person, seq)
    return seq


def _note_second_admin(tx: Transaction, person: Person, seq: int) -> None:
    """The first time that another human than the first admin becomes one, lowering the gate takes two."""
    root = tx.one(trust_root.select())
    if root is None or "admin" not in person.roles or tx.one(second_admin.select()) is not None:
        return
    first = tx.one(person_keys.select().where(person_keys.c.kid == root.kid))
    if first is not None and not all_names_of(tx, first.person) & all_names_of(tx, person.id):
        tx.execute(second_admin.insert(), {"id": 1, "seq": seq})


def _refuse_conflict(tx: Transaction, person: Person, kid: str) -> None:
    """Refuse what would give one key two names, revive what was revoked, or move somebody to another
    tenant.
    """
    key = tx.one(person_keys.select().where(person_keys.c.kid == kid))
    if key is not None and (key.person != person.id or key.revoked_ms is not None):
        raise EnrolmentRefused("This key was revoked, or belongs to somebody else here; make a new key.")
    root = tx.one(trust_root.select())
    if root is not None and root.kid == kid:
        raise EnrolmentRefused("The root key's own enrolment cannot be replaced; enrol a further key.")
    row = tx.one(people.select().where(people.c.id == person.id))
    if row is not None and (row.tenant != person.tenant or row.revoked_ms is not None):
        raise EnrolmentRefused(f"{person.id} was revoked, or belongs to another tenant; use another id.")
    if tx.one(agents.select().where(agents.c.id == person.id)) is not None:
        raise EnrolmentRefused(f"{person.id} is an agent; a person needs an id of their own.")


def _as_text(names: Iterable[str]) -> str:
    return canonical(list[JsonValue](sorted(names))).decode()
