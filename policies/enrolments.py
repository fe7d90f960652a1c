"""Enrolments: an administrator's signed statement that a key belongs to a person with certain roles.

The statement is `{v, person, tenant, public_key, roles, aliases}`. The first one is self-signed: it makes the
root key of the installation, to which every other leads back. A row in a table makes nobody a reviewer; this
signature does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger.canonical import JsonObject, JsonValue
from ledger.keyring import key_id
from policies.errors import EnrolmentRefused, PolicyError
from policies.principals import ROLES, Person, require_id
from policies.signing import ENROLMENT_DOMAIN, PersonalKey, parse_public_key, sign, verify

ENROLMENT_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What is stated: `public_key` (base64url) is this person's, with these roles and other names."""

    person: Person
    public_key: str

    def __post_init__(self) -> None:
        require_id(self.person.id, "a person")
        require_id(self.person.tenant, "a tenant")
        for alias in self.person.aliases:
            require_id(alias, "an alias")
        if not self.person.roles or not self.person.roles <= ROLES:
            known = ", ".join(sorted(ROLES))
            raise EnrolmentRefused(f"A person needs at least one of the roles {known}, and no other.")
        parse_public_key(self.public_key)

    @property
    def kid(self) -> str:
        """The id of the enrolled key."""
        return key_id(parse_public_key(self.public_key))

    def as_json(self) -> JsonObject:
        """The statement that is signed."""
        return {
            "v": ENROLMENT_VERSION,
            "person": self.person.id,
            "tenant": self.person.tenant,
            "public_key": self.public_key,
            "roles": list[JsonValue](sorted(self.person.roles)),
            "aliases": list[JsonValue](sorted(self.person.aliases)),
        }


@dataclass(frozen=True, slots=True)
class SignedEnrolment:
    """An enrolment, the id of the administrator's key that signed it, and the signature (base64url)."""

    enrolment: Enrolment
    signed_by: str
    signature: str

    @property
    def is_self_signed(self) -> bool:
        """Whether the key that is enrolled is the one that signed: so only for a root."""
        return self.signed_by == self.enrolment.kid

    def is_signed_with(self, public_key: str) -> bool:
        """Whether the holder of `public_key` (base64url) signed exactly this enrolment."""
        return verify(public_key, ENROLMENT_DOMAIN, self.enrolment.as_json(), self.signature)

    def as_json(self, vouched_by: int | None, agreement: JsonObject | None = None) -> JsonObject:
        """What the log entry `person.enrolled` holds; `vouched_by` is the entry that enrolled the signing
        key, and `agreement` that of two admins, where it took two.
        """
        return {
            "person": self.enrolment.person.id,
            "kid": self.enrolment.kid,
            "signed_by": self.signed_by,
            "signature": self.signature,
            "statement": self.enrolment.as_json(),
            "vouched_by": vouched_by,
            "agreement": agreement,
        }


def may_enrol(issuer: Person, person: Person, *, is_root: bool) -> bool:
    """An administrator enrols people of their own tenant; with the root key, of any."""
    return "admin" in issuer.roles and (is_root or issuer.tenant == person.tenant)


def powers_of(person: Person) -> tuple[str, ...]:
    """Those of a person's roles that open the gate: to give them to anybody lowers it."""
    return tuple(role for role in ("reviewer", "admin") if role in person.roles)


def sign_enrolment(key: PersonalKey, person: Person, public_key: str) -> SignedEnrolment:
    """State, as the administrator who holds `key`, that `public_key` is `person`'s and what they may do."""
    enrolment = Enrolment(person, public_key)
    return SignedEnrolment(enrolment, key.kid, sign(key, ENROLMENT_DOMAIN, enrolment.as_json()))


def enrolment_from_json(body: JsonObject) -> SignedEnrolment | None:
    """The signed enrolment in the body of a log entry, or None if that is not exactly what `as_json`
    writes.
    """
    match body:
        case {
            "signed_by": str(signed_by),
            "signature": str(signature),
            "vouched_by": int() | None as vouched_by,
            "agreement": dict() | None as agreement,
            "statement": {
                "person": str(name),
                "tenant": str(tenant),
                "public_key": str(public_key),
                "roles": list(roles),
                "aliases": list(aliases),
            },
        }:
            person = Person(name, tenant, frozenset(map(str, roles)), frozenset(map(str, aliases)))
        case _:
            return None
    try:
        signed = SignedEnrolment(Enrolment(person, public_key), signed_by, signature)
    except PolicyError:
        return None
    return signed if signed.as_json(vouched_by, agreement) == body else None
