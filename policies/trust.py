"""Which keys of people count: those whose enrolment leads back, signature by signature, to the root key.

The proof stands in the log, not in a table: a key's row only names the entry of its enrolment. That entry
holds the statement and the signature of an administrator's key, whose own enrolment is an earlier entry,
and so on up to the root. So a row that somebody writes by hand makes nobody a reviewer, and an enrolment
cannot be dated back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger.lookup import entry_at
from ledger.statements import fixed, param
from ledger.transaction import Reading
from policies.enrolments import SignedEnrolment, enrolment_from_json
from policies.principals import Person
from policies.tables import person_keys, trust_root

MAX_CHAIN: Final = 8
"""How many enrolments may stand between a key and the root, both included."""

_ROOT = fixed(trust_root.select())
_KEY = fixed(person_keys.select().where(person_keys.c.kid == param("key")))


@dataclass(frozen=True, slots=True)
class ProvenKey:
    """A key with the statement that enrolled it, and the log entry's number and time in milliseconds.

    `vouched_by` is the entry of the key that signed the statement; None for the root.
    """

    enrolment: SignedEnrolment
    enrolled_seq: int
    enrolled_ms: int
    vouched_by: int | None


def proven_key(reading: Reading, kid: str) -> ProvenKey | None:
    """The key `kid` with its proof, or None if any link to the root is missing, false or out of order.

    Each entry names the entry of the administrator's key that vouched for it, as that was then: whoever is
    enrolled anew or loses a role later takes nobody along. Says nothing about revocation.
    """
    root = reading.one(_ROOT)
    key = reading.one(_KEY, {"key": kid})
    found = None if key is None else _enrolment_at(reading, key.enrolled_seq)
    if root is None or key is None or found is None:
        return None
    if (found.enrolment.enrolment.kid, found.enrolment.enrolment.person.id) != (kid, key.person):
        return None
    below = found
    for _ in range(MAX_CHAIN):
        if below.vouched_by is None:
            return found if _is_root(below, root.kid, root.seq) else None
        above = _enrolment_at(reading, below.vouched_by)
        if above is None or not _vouches(above, below, root.kid):
            return None
        below = above
    return None


def chain_of(reading: Reading, kid: str) -> tuple[int, ...]:
    """The log entries that prove the key `kid`, from its own enrolment up to the root; empty if it is not
    proven.
    """
    proof = proven_key(reading, kid)
    return () if proof is None else lineage_of(reading, proof.enrolled_seq)


def lineage_of(reading: Reading, seq: int) -> tuple[int, ...]:
    """The enrolment in log entry `seq`, and those above it that vouch for it one after the other."""
    found: list[int] = []
    above: int | None = seq
    while above is not None and len(found) < MAX_CHAIN:
        proof = _enrolment_at(reading, above)
        if proof is None:
            break
        found.append(above)
        above = proof.vouched_by
    return tuple(found)


def may_enrol(issuer: Person, person: Person, *, is_root: bool) -> bool:
    """An administrator enrols people of their own tenant; with the root key, of any."""
    return "admin" in issuer.roles and (is_root or issuer.tenant == person.tenant)


def _is_root(key: ProvenKey, kid: str, seq: int) -> bool:
    signed = key.enrolment
    own = signed.is_self_signed and signed.is_signed_with(signed.enrolment.public_key)
    return own and (signed.enrolment.kid, key.enrolled_seq) == (kid, seq)


def _vouches(above: ProvenKey, below: ProvenKey, root: str) -> bool:
    issuer, signed = above.enrolment.enrolment, below.enrolment
    return (
        above.enrolled_seq < below.enrolled_seq
        and signed.signed_by == issuer.kid
        and may_enrol(issuer.person, signed.enrolment.person, is_root=issuer.kid == root)
        and signed.is_signed_with(issuer.public_key)
    )


def _enrolment_at(reading: Reading, seq: int) -> ProvenKey | None:
    """The enrolment that log entry `seq` holds."""
    stored = entry_at(reading, seq)
    if stored is None or stored.kind != "person.enrolled":
        return None
    signed, vouched_by = enrolment_from_json(stored.body), stored.body.get("vouched_by")
    if signed is None or not isinstance(vouched_by, int | None):
        return None
    return ProvenKey(signed, stored.seq, stored.at_ms, vouched_by)
