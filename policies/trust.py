"""Which keys of people count: those whose enrolment leads back, signature by signature, to the root key.

The proof stands in the log, not in a table: a key's row only names the entry of its enrolment. That entry
holds the statement and the signature of an administrator's key, whose own enrolment is an earlier entry,
and so on up to the root. Since there was a second admin, what gives power to judge or to administer holds
the signature of another admin too, who is proven in the same way. So a row that somebody writes by hand
makes nobody a reviewer, one admin's key alone makes none, and an enrolment cannot be dated back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ledger.lookup import entry_at
from ledger.statements import fixed, param
from ledger.transaction import Reading
from policies.agreements import Agreement, Signatory, agreement_from_json
from policies.enrolments import SignedEnrolment, enrolment_from_json, may_enrol, powers_of
from policies.tables import person_keys, second_admin, trust_root

MAX_PROOF: Final = 24
"""How many enrolments the proof of one key may rest on, its own included."""

_ROOT = fixed(
    trust_root.outerjoin(second_admin, second_admin.c.id == trust_root.c.id)
    .select()
    .with_only_columns(trust_root.c.kid, trust_root.c.seq, second_admin.c.seq.label("second"))
)
_KEY = fixed(person_keys.select().where(person_keys.c.kid == param("key")))


@dataclass(frozen=True, slots=True)
class ProvenKey:
    """A key with the statement that enrolled it, and the log entry's number and time in milliseconds.

    `vouched_by` is the entry of the key that signed the statement; None for the root. `agreement` is what two
    admins signed, where there was a second one.
    """

    enrolment: SignedEnrolment
    enrolled_seq: int
    enrolled_ms: int
    vouched_by: int | None
    agreement: Agreement | None

    @property
    def above(self) -> Iterator[int]:
        """The entries of the keys that signed for this one."""
        if self.vouched_by is not None:
            yield self.vouched_by
        if self.agreement is not None:
            yield self.agreement.seconded_by

    @property
    def signatory(self) -> Signatory:
        """Who holds the key, as its enrolment says."""
        stated = self.enrolment.enrolment
        return Signatory(stated.person, stated.kid, stated.public_key)


def proven_key(reading: Reading, kid: str) -> ProvenKey | None:
    """The key `kid` with its proof, or None if any link to the root is missing, false or out of order.

    Each entry names the entries of the administrators' keys that vouched for it, as those were then: whoever
    is enrolled anew or loses a role later takes nobody along. Says nothing about revocation.
    """
    root = reading.one(_ROOT)
    key = reading.one(_KEY, {"key": kid})
    found = None if key is None else _enrolment_at(reading, key.enrolled_seq)
    if root is None or key is None or found is None:
        return None
    if (found.enrolment.enrolment.kid, found.enrolment.enrolment.person.id) != (kid, key.person):
        return None
    behind = _all_behind(reading, found)
    if behind is None:
        return None
    proven = all(
        _is_root(one, root.kid, root.seq)
        if one.vouched_by is None
        else _is_vouched_for(one, behind, root.kid, root.second)
        for one in behind.values()
    )
    return found if proven else None


def chain_of(reading: Reading, kid: str) -> tuple[int, ...]:
    """The log entries that prove the key `kid`: its own enrolment, and those that it rests on; empty if it is
    not proven.
    """
    proof = proven_key(reading, kid)
    return () if proof is None else lineage_of(reading, proof.enrolled_seq)


def lineage_of(reading: Reading, seq: int) -> tuple[int, ...]:
    """The enrolment in log entry `seq`, and all those that it rests on."""
    found = _enrolment_at(reading, seq)
    behind = None if found is None else _all_behind(reading, found)
    return () if behind is None else tuple(sorted(behind, reverse=True))


def _all_behind(reading: Reading, key: ProvenKey) -> dict[int, ProvenKey] | None:
    """The enrolment and all that it rests on, by entry; None if one is missing, or does not stand before what
    rests on it.
    """
    found = {key.enrolled_seq: key}
    todo = [key]
    while todo:
        below = todo.pop()
        for seq in below.above:
            above = found.get(seq) or _enrolment_at(reading, seq)
            if above is None or seq >= below.enrolled_seq or len(found) > MAX_PROOF:
                return None
            if seq not in found:
                found[seq] = above
                todo.append(above)
    return found


def _is_root(key: ProvenKey, kid: str, seq: int) -> bool:
    signed = key.enrolment
    own = signed.is_self_signed and signed.is_signed_with(signed.enrolment.public_key)
    return own and (signed.enrolment.kid, key.enrolled_seq) == (kid, seq)


def _is_vouched_for(key: ProvenKey, known: dict[int, ProvenKey], root: str, second: int | None) -> bool:
    signed, agreement = key.enrolment, key.agreement
    issuer = known[key.vouched_by or 0].signatory
    vouched = (
        signed.signed_by == issuer.kid
        and may_enrol(issuer.person, signed.enrolment.person, is_root=issuer.kid == root)
        and signed.is_signed_with(issuer.public_key)
    )
    if agreement is not None:
        other = known[agreement.seconded_by].signatory
        return vouched and agreement.is_about(signed) and agreement.is_of_two(issuer, other, root)
    alone = second is None or key.enrolled_seq <= second or not powers_of(signed.enrolment.person)
    return vouched and alone


def _enrolment_at(reading: Reading, seq: int) -> ProvenKey | None:
    """The enrolment that log entry `seq` holds."""
    stored = entry_at(reading, seq)
    if stored is None or stored.kind != "person.enrolled":
        return None
    signed, vouched_by = enrolment_from_json(stored.body), stored.body.get("vouched_by")
    agreement = agreement_from_json(stored.body.get("agreement"))
    if signed is None or not isinstance(vouched_by, int | None):
        return None
    if agreement is None and stored.body.get("agreement") is not None:
        return None
    return ProvenKey(signed, stored.seq, stored.at_ms, vouched_by, agreement)
