"""People as operations: an admin vouches for them with a signature of their own, beside the one that asks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ledger.canonical import JsonObject, JsonValue
from ledger.clock import rfc3339
from ledger.transaction import Transaction
from policies.enrolling import enrol_person, how_it_lowers
from policies.enrolments import Enrolment, SignedEnrolment, powers_of
from policies.key_replacement import replace_key
from policies.people import (
    EnrolledPerson,
    key_of_kid,
    list_people,
    revoke_person,
    revoke_person_key,
)
from policies.principals import Person
from server.errors import BadInput, RuleRefused
from server.operations.operation import Arguments, NoArguments, Operation, OperationDesk


class AddPerson(Arguments):
    """An enrolment as the admin signed it: `signature` is over exactly these fields, and the admin's
    tenant.
    """

    person: str = Field(max_length=64)
    roles: list[Literal["reviewer", "curator", "admin"]] = Field(min_length=1)
    aliases: list[str] = Field(default_factory=list[str], max_length=32)
    public_key: str = Field(max_length=64)
    signed_by: str = Field(max_length=64)
    signature: str = Field(max_length=128)


class ReplaceKey(AddPerson):
    """A new key for a person who is known. Unless `keep`, their older ones fall."""

    keep: bool = False


class OnePerson(Arguments):
    """A person by their id."""

    person: str = Field(max_length=64)


class OneKey(Arguments):
    """A person's key by its id."""

    kid: str = Field(max_length=64)


def _lowers(desk: OperationDesk, admin: Person, given: AddPerson) -> tuple[str, ...]:
    return desk.ledger.read(lambda reading: how_it_lowers(reading, _as_given(admin, given)))


def _lowers_too(_desk: OperationDesk, admin: Person, given: ReplaceKey) -> tuple[str, ...]:
    """Whoever holds the new key of somebody who can approve can approve."""
    powers = powers_of(_as_given(admin, given))
    return (f"{given.person}, who is {' and '.join(powers)}, gets a new key",) if powers else ()


def _add(desk: OperationDesk, admin: Person, given: AddPerson) -> JsonObject:
    signed = _as_signed(admin, given)
    desk.ledger.transact_now(lambda tx: enrol_person(tx, signed, by=admin.id, agreement=desk.agreement))
    return {**_person(signed.enrolment.person), "kid": signed.enrolment.kid}


def _replace(desk: OperationDesk, admin: Person, given: ReplaceKey) -> JsonObject:
    signed = _as_signed(admin, given)

    def put(tx: Transaction) -> tuple[Person, list[str]]:
        return replace_key(tx, signed, by=admin.id, keep=given.keep, agreement=desk.agreement)

    person, fallen = desk.ledger.transact_now(put)
    return {"person": person.id, "kid": signed.enrolment.kid, "fallen": list[JsonValue](fallen)}


def _as_given(admin: Person, given: AddPerson) -> Person:
    return Person(given.person, admin.tenant, frozenset(given.roles), frozenset(given.aliases))


def _as_signed(admin: Person, given: AddPerson) -> SignedEnrolment:
    enrolment = Enrolment(_as_given(admin, given), given.public_key)
    return SignedEnrolment(enrolment, given.signed_by, given.signature)


def _list(desk: OperationDesk, asking: Person, _given: NoArguments) -> JsonObject:
    found = desk.ledger.read(lambda reading: list_people(reading, asking.tenant))
    return {"people": [_listed(enrolled) for enrolled in found]}


def _self(_desk: OperationDesk, asking: Person, _given: NoArguments) -> JsonObject:
    return _person(asking)


def _revoke(desk: OperationDesk, admin: Person, given: OnePerson) -> JsonObject:
    if given.person == admin.id:
        raise RuleRefused(f"{admin.id} cannot revoke themselves; ask another admin.")

    desk.ledger.transact_now(lambda tx: revoke_person(tx, given.person, tenant=admin.tenant, by=admin.id))
    return {"person": given.person}


def _revoke_key(desk: OperationDesk, admin: Person, given: OneKey) -> JsonObject:
    def revoke(tx: Transaction) -> str:
        key = key_of_kid(tx, given.kid)
        if key is None:
            raise BadInput(f"There is no key {given.kid}; `bailiwick key list` shows those that there are.")
        good = [
            held.kid
            for enrolled in list_people(tx, admin.tenant)
            if enrolled.person.id == admin.id
            for held in enrolled.keys
            if held.revoked_ms is None
        ]
        if good == [given.kid]:
            raise RuleRefused(f"{given.kid} is your only key; enrol another one first.")
        revoke_person_key(tx, given.kid, tenant=admin.tenant, by=admin.id)
        return key.person

    return {"kid": given.kid, "person": desk.ledger.transact_now(revoke)}


def _person(person: Person) -> JsonObject:
    return {
        "person": person.id,
        "tenant": person.tenant,
        "roles": list[JsonValue](sorted(person.roles)),
        "aliases": list[JsonValue](sorted(person.aliases)),
    }


def _listed(enrolled: EnrolledPerson) -> JsonObject:
    return {
        **_person(enrolled.person),
        "revoked": _time(enrolled.revoked_ms),
        "keys": [
            {
                "kid": key.kid,
                "public_key": key.public_key,
                "enrolled": rfc3339(key.enrolled_ms),
                "revoked": _time(key.revoked_ms),
            }
            for key in enrolled.keys
        ],
    }


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)


OPERATIONS = (
    Operation("person.add", AddPerson, "admin", _add, lowers=_lowers),
    Operation("person.list", NoArguments, "person", _list, logged=False),
    Operation("person.self", NoArguments, "person", _self, logged=False),
    Operation("person.revoke", OnePerson, "admin", _revoke),
    Operation("key.replace", ReplaceKey, "admin", _replace, lowers=_lowers_too),
    Operation("key.revoke", OneKey, "admin", _revoke_key),
)
