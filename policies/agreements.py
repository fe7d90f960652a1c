"""What two admins signed: that an act which lowers the gate was proposed by one human and agreed to by
another.

An agreement is the two signed operations themselves. The first is over the act's name and arguments; the
second is over `act.sign` with the act's id and its digest, which covers the same name and arguments. So
whoever holds the log and the two public keys can check it, and the server's word is needed for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger.canonical import JsonObject, JsonValue, digest
from policies.enrolments import SignedEnrolment, may_enrol
from policies.operations import (
    CLOCK_TOLERANCE_MS,
    SignedOperation,
    arguments_digest,
    operation_as_json,
    operation_from_json,
)
from policies.principals import Person

ACT_LIFETIME_MS: Final = 3 * 24 * 3_600_000
"""How long an act waits for its second signature, in milliseconds."""

SIGN_ACT: Final = "act.sign"
"""The operation by which a second admin agrees."""

ENROLLING: Final = frozenset({"person.add", "key.replace"})
"""The operations whose arguments are an enrolment."""

_DOMAIN: Final = "bailiwick-act-v1"
_LATEST_MS: Final = ACT_LIFETIME_MS + 2 * CLOCK_TOLERANCE_MS


@dataclass(frozen=True, slots=True)
class Signatory:
    """Who holds a key: `person` with every name that is known to be theirs, and the roles that count."""

    person: Person
    kid: str
    public_key: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """The act `act`, which is the operation `op` with `args`: who asked for it, and who agreed.

    `seconded_by` is the log entry that enrolled the second admin's key.
    """

    act: str
    op: str
    args: JsonObject
    asked: SignedOperation
    agreed: SignedOperation
    seconded_by: int

    @property
    def digest(self) -> str:
        """What the second admin saw and signed."""
        return act_digest(self.op, self.args)

    def is_of_two(self, first: Signatory, second: Signatory, root: str | None) -> bool:
        """Whether these two, an admin and another human who may be their second, signed exactly this act.

        `root` is the id of the root key, whose holder may be the second in every tenant.
        """
        return (
            _signed(self.asked, first, self.op, self.args)
            and _signed(self.agreed, second, SIGN_ACT, {"act": self.act, "digest": self.digest})
            and -CLOCK_TOLERANCE_MS <= self.agreed.at - self.asked.at <= _LATEST_MS
            and are_two(first, second, root)
        )

    def is_about(self, signed: SignedEnrolment) -> bool:
        """Whether the act is exactly this enrolment, asked for by the admin who signed it."""
        person = signed.enrolment.person
        told = {
            "person": person.id,
            "roles": sorted(person.roles),
            "aliases": sorted(person.aliases),
            "public_key": signed.enrolment.public_key,
            "signed_by": signed.signed_by,
            "signature": signed.signature,
        }
        lists = {name: sorted(set(_texts(self.args.get(name)))) for name in ("roles", "aliases")}
        given = {name: value for name, value in self.args.items() if name != "keep"} | lists
        return self.op in ENROLLING and self.asked.kid == signed.signed_by and given == told

    def as_json(self) -> JsonObject:
        """The form for the log."""
        return {
            "act": self.act,
            "op": self.op,
            "args": self.args,
            "asked": operation_as_json(self.asked),
            "agreed": operation_as_json(self.agreed),
            "seconded_by": self.seconded_by,
        }


def agreement_from_json(value: JsonValue) -> Agreement | None:
    """The agreement that `as_json` wrote, or None if this is anything else."""
    match value:
        case {
            "act": str(act),
            "op": str(op),
            "args": dict(args),
            "asked": dict(asked),
            "agreed": dict(agreed),
            "seconded_by": int(seconded_by),
        }:
            first, second = operation_from_json(asked), operation_from_json(agreed)
        case _:
            return None
    if first is None or second is None:
        return None
    return Agreement(act, op, args, first, second, seconded_by)


def act_digest(op: str, args: JsonObject) -> str:
    """What names an act's content."""
    return digest(_DOMAIN, {"op": op, "args_digest": arguments_digest(args)})


def are_two(first: Signatory, second: Signatory, root: str | None) -> bool:
    """Whether these are two humans with two keys: an admin, and another who may be their second."""
    return (
        "admin" in first.person.roles
        and may_enrol(second.person, first.person, is_root=second.kid == root)
        and not first.person.identities & second.person.identities
        and first.public_key != second.public_key
    )


def _signed(operation: SignedOperation, by: Signatory, op: str, args: JsonObject) -> bool:
    named = (operation.op, operation.person, operation.kid) == (op, by.person.id, by.kid)
    return (
        named and operation.args_digest == arguments_digest(args) and operation.is_signed_with(by.public_key)
    )


def _texts(value: JsonValue) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []
