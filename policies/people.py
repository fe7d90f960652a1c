"""People in the ledger: who holds which key with which roles, and how both are taken away at once. How they
get in is policies/enrolling.py.

The tables say what may still be used; the log proves what was ever granted (policies/trust.py). What counts
is both: a role that is taken away is gone with the row, and a role in a row that nobody signed for is worth
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast

from ledger.canonical import JsonValue, canonical, parse_strict
from ledger.entries import Entry
from ledger.statements import fixed, param
from ledger.transaction import AnyRow, Reading, Transaction
from policies.agreements import Signatory
from policies.errors import EnrolmentRefused
from policies.gate_state import note_people
from policies.principals import Person, joined_names
from policies.tables import people, person_keys, second_admin, trust_root
from policies.trust import proven_key

__all__ = [
    "EnrolledPerson",
    "KeyHolder",
    "PersonKey",
    "all_names_of",
    "declared_names",
    "declared_person",
    "holder_of_key",
    "is_single_handed",
    "judge_of_key",
    "key_of_kid",
    "keys_of_people",
    "list_people",
    "person_by_id",
    "revoke_person",
    "revoke_person_key",
    "root_kid",
    "signatory_of_key",
    "withdraw_roles",
]


_EVERYBODY = fixed(people.select())
_BY_ID = fixed(people.select().where(people.c.id == param("person"), people.c.revoked_ms.is_(None)))
_KEY_IN_FORCE = fixed(
    person_keys.select().where(person_keys.c.kid == param("key"), person_keys.c.revoked_ms.is_(None))
)


@dataclass(frozen=True, slots=True)
class PersonKey:
    """A key that was enrolled for a person. `enrolled_ms` is the log's time, `revoked_ms` None while it is
    good.
    """

    kid: str
    person: str
    public_key: str
    enrolled_ms: int
    revoked_ms: int | None


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """A key that counts now, and the person who holds it, with the roles that this key carries.

    `enrolled_seq` is the log entry of the key's enrolment: it judges nothing that was requested before.
    """

    person: Person
    kid: str
    public_key: str
    enrolled_seq: int


@dataclass(frozen=True, slots=True)
class EnrolledPerson:
    """A person as listings show them, with the aliases that were declared and every key."""

    person: Person
    revoked_ms: int | None
    keys: tuple[PersonKey, ...]


def revoke_person(tx: Transaction, person: str, *, tenant: str, by: str) -> None:
    """End a person's part: no key of theirs signs anything any more, and approvals not yet used fall."""
    row = _known(tx, person, tenant)
    tx.execute(people.update().where(people.c.id == person).values(revoked_ms=tx.now_ms, roles="[]"))
    held = person_keys.update().where(person_keys.c.person == person, person_keys.c.revoked_ms.is_(None))
    tx.execute(held.values(revoked_ms=tx.now_ms))
    note_people(tx, tx.append(Entry("person.revoked", row.tenant, {"person": person}, principal=by)))


def revoke_person_key(tx: Transaction, kid: str, *, tenant: str, by: str) -> None:
    """Take one key out of force for ever; the person's other keys stay good."""
    key = tx.one(person_keys.select().where(person_keys.c.kid == kid, person_keys.c.revoked_ms.is_(None)))
    if key is None:
        raise EnrolmentRefused(
            f"There is no key {kid[:64]} in force; `bailiwick key list` shows those there are."
        )
    row = _known(tx, key.person, tenant)
    tx.execute(person_keys.update().where(person_keys.c.kid == kid).values(revoked_ms=tx.now_ms))
    note_people(
        tx, tx.append(Entry("person.revoked", row.tenant, {"person": row.id, "kid": kid}, principal=by))
    )


def withdraw_roles(tx: Transaction, person: str, roles: frozenset[str], *, tenant: str, by: str) -> None:
    """Take roles from a person, at once. They come back only by a new signed enrolment."""
    row = _known(tx, person, tenant)
    left = _names(row.roles) - roles
    tx.execute(people.update().where(people.c.id == person).values(roles=_as_text(left)))
    withdrawn = list[JsonValue](sorted(roles))
    note_people(
        tx,
        tx.append(Entry("person.revoked", row.tenant, {"person": person, "roles": withdrawn}, principal=by)),
    )


def person_by_id(reading: Reading, person: str) -> Person | None:
    """The person now, with every name that is the same human; None if unknown or revoked."""
    row = reading.one(_BY_ID, {"person": person})
    if row is None:
        return None
    return Person(row.id, row.tenant, _names(row.roles), all_names_of(reading, row.id) - {row.id})


def declared_person(reading: Reading, person: str, tenant: str) -> Person:
    """The person as they were declared, with those other names only that were; `EnrolmentRefused` if revoked
    or unknown.
    """
    row = _known(reading, person, tenant)
    return Person(row.id, row.tenant, _names(row.roles), _names(row.aliases))


def key_of_kid(reading: Reading, kid: str) -> PersonKey | None:
    """The key with this id, revoked or not; None unless its enrolment leads back to the root."""
    row = reading.one(person_keys.select().where(person_keys.c.kid == kid))
    proof = None if row is None else proven_key(reading, kid)
    if row is None or proof is None:
        return None
    public_key = proof.enrolment.enrolment.public_key
    return PersonKey(kid, row.person, public_key, proof.enrolled_ms, row.revoked_ms)


def holder_of_key(reading: Reading, kid: str) -> KeyHolder | None:
    """Who holds the key now, with the roles that were signed for and not taken away since.

    None if the key or the person is unknown, revoked or unproven.
    """
    row = reading.one(_KEY_IN_FORCE, {"key": kid})
    proof = None if row is None else proven_key(reading, kid)
    person = None if row is None else person_by_id(reading, row.person)
    if proof is None or person is None:
        return None
    enrolment = proof.enrolment.enrolment
    if enrolment.person.tenant != person.tenant:
        return None
    roles = person.roles & enrolment.person.roles
    held_by = replace(person, roles=roles, aliases=person.aliases | enrolment.person.aliases)
    return KeyHolder(held_by, kid, enrolment.public_key, proof.enrolled_seq)


def keys_of_people(reading: Reading, names: Iterable[str]) -> list[str]:
    """The ids of every key that was ever enrolled for these people, in the order of their enrolment."""
    held = person_keys.select().where(person_keys.c.person.in_(sorted(names)))
    return [row.kid for row in reading.all(held.order_by(person_keys.c.enrolled_seq))]


def judge_of_key(reading: Reading, kid: str) -> Person | None:
    """Who holds the key now: the person of `holder_of_key`."""
    holder = holder_of_key(reading, kid)
    return None if holder is None else holder.person


def list_people(reading: Reading, tenant: str) -> list[EnrolledPerson]:
    """Everybody of a tenant by id, revoked people and keys too."""
    rows = reading.all(people.select().where(people.c.tenant == tenant).order_by(people.c.id))
    return [
        EnrolledPerson(
            Person(row.id, row.tenant, _names(row.roles), _names(row.aliases)),
            row.revoked_ms,
            tuple(_keys_of(reading, row.id)),
        )
        for row in rows
    ]


def all_names_of(reading: Reading, name: str) -> frozenset[str]:
    """Every name that is the same human as `name`, following aliases both ways; revoked people's too."""
    return joined_names(name, (_names(row.aliases) | {row.id} for row in reading.all(_EVERYBODY)))


def root_kid(reading: Reading) -> str | None:
    """The id of the first admin's key, to which every enrolment leads back."""
    root = reading.one(trust_root.select())
    return None if root is None else str(root.kid)


def signatory_of_key(reading: Reading, kid: str) -> Signatory | None:
    """Who holds the key now, with every name that is the same human; None as with `holder_of_key`."""
    holder = holder_of_key(reading, kid)
    if holder is None:
        return None
    names = (all_names_of(reading, name) for name in holder.person.identities)
    known = holder.person.identities.union(*names) - {holder.person.id}
    return Signatory(replace(holder.person, aliases=known), kid, holder.public_key)


def declared_names(reading: Reading, person: str) -> frozenset[str]:
    """The other names that were declared for a person last; none for somebody unknown."""
    row = reading.one(people.select().where(people.c.id == person))
    return frozenset() if row is None else _names(row.aliases)


def is_single_handed(reading: Reading) -> bool:
    """Whether there never was a second admin: then one admin alone may lower the gate."""
    return reading.one(second_admin.select()) is None


def _known(reading: Reading, person: str, tenant: str) -> AnyRow:
    row = reading.one(people.select().where(people.c.id == person, people.c.tenant == tenant))
    if row is None or row.revoked_ms is not None:
        raise EnrolmentRefused(
            f"There is no person {person[:64]} to revoke; `bailiwick person list` shows them."
        )
    return row


def _keys_of(reading: Reading, person: str) -> Iterable[PersonKey]:
    held = person_keys.select().where(person_keys.c.person == person).order_by(person_keys.c.enrolled_seq)
    for row in reading.all(held):
        yield PersonKey(row.kid, row.person, row.public_key, row.enrolled_ms, row.revoked_ms)


def _names(text: str) -> frozenset[str]:
    return frozenset(cast("list[str]", parse_strict(text)))


def _as_text(names: Iterable[str]) -> str:
    return canonical(list[JsonValue](sorted(names))).decode()
