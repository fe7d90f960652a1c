"""People, their keys and their acts as a log tells of them, entry by entry: who held which key when, and
whether whoever changed that, or lowered the gate, was allowed to.

Pure, and it trusts no table, as policies/audit_rules.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from ledger.entries import StoredEntry
from policies.agreements import Signatory, agreement_from_json
from policies.audit_acts import ACT_KINDS, Acts
from policies.enrolments import SignedEnrolment, enrolment_from_json, may_enrol, powers_of
from policies.people import KeyHolder
from policies.principals import Person, joined_names
from policies.server_keys import Voucher, voucher_from_json

PEOPLE_TOLD_BY: Final = frozenset(
    {"person.enrolled", "person.revoked", "server_key.vouched", "gate.loaded", "gate.unfrozen", *ACT_KINDS}
)
"""The kinds of entries that are taken here."""


@dataclass(slots=True)
class People:
    """What is known after the entries so far."""

    root: str | None = None
    keys: dict[str, tuple[SignedEnrolment, int]] = field(
        default_factory=dict[str, tuple[SignedEnrolment, int]]
    )
    roles: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    names: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    second: int | None = None
    """The entry that enrolled a second human as an admin: from then on lowering the gate takes two."""

    acts: Acts = field(default_factory=Acts)
    server_keys: dict[str, Voucher] = field(default_factory=dict[str, Voucher])
    root_key: str | None = None

    def take(self, entry: StoredEntry, *, whole: bool) -> Iterator[str]:
        """Go on by one entry, and give what is wrong with it. `whole`: whether these are all of a log's."""
        match entry.kind:
            case "person.enrolled":
                yield from self._on_enrolled(entry, whole=whole)
            case "person.revoked":
                yield from self._on_revoked(entry)
            case "server_key.vouched":
                yield from self._on_vouched(entry)
            case "gate.loaded":
                yield from self.acts.on_loaded(entry, self.second)
            case "gate.unfrozen":
                yield from self.acts.on_unfrozen(entry, self.second)
            case _:
                yield from self.acts.take(entry, self.second, self.signatory, self.root or "")

    def _on_enrolled(self, entry: StoredEntry, *, whole: bool) -> Iterator[str]:
        signed = enrolment_from_json(entry.body)
        if signed is None or not self._is_vouched_for(signed):
            yield f"Entry {entry.seq} enrols a person without the signature of an administrator who could."
            return
        person = signed.enrolment.person
        if not self._is_agreed(signed, entry, whole=whole):
            yield f"Entry {entry.seq} enrols {person.id} without the two admins that it takes to do so."
            return
        if self.root is None:
            self.root, self.root_key = signed.enrolment.kid, signed.enrolment.public_key
        self.keys[signed.enrolment.kid] = (signed, entry.seq)
        self.roles[person.id] = person.roles
        self.names[person.id] = person.identities
        if self.second is None and "admin" in person.roles:
            first = self.keys[self.root][0].enrolment.person
            if not self.all_names(first.id) & self.all_names(person.id):
                self.second = entry.seq

    def _is_agreed(self, signed: SignedEnrolment, entry: StoredEntry, *, whole: bool) -> bool:
        """Whether one admin was enough for this enrolment, or two signed for exactly it."""
        person, agreement = signed.enrolment.person, agreement_from_json(entry.body.get("agreement"))
        if agreement is not None:
            first, second = (self.signatory(one.kid) for one in (agreement.asked, agreement.agreed))
            known = first is not None and second is not None and agreement.is_of_two(first, second, self.root)
            if not known or not agreement.is_about(signed):
                return False
            # An export holds the enrolments that it rests on, and not the acts.
            return not whole or not any(
                self.acts.carry_out(entry, agreement.act, "enrols", lambda one: one == agreement)
            )
        lowers = powers_of(person) or self.names.get(person.id, person.identities) - person.identities
        return entry.body.get("agreement") is None and (self.second is None or not lowers)

    def _is_vouched_for(self, signed: SignedEnrolment) -> bool:
        if self.root is None:
            own = signed.enrolment
            return (
                signed.is_self_signed
                and "admin" in own.person.roles
                and signed.is_signed_with(own.public_key)
            )
        issuer = self.holder(signed.signed_by)
        is_root = signed.signed_by == self.root
        return (
            issuer is not None
            and not signed.is_self_signed
            and may_enrol(issuer.person, signed.enrolment.person, is_root=is_root)
            and signed.is_signed_with(issuer.public_key)
        )

    def _on_revoked(self, entry: StoredEntry) -> Iterator[str]:
        match entry.body:
            case {"person": str(person), "roles": list(withdrawn)}:
                self.roles[person] = self.roles.get(person, frozenset()) - {str(role) for role in withdrawn}
            case {"kid": str(kid)}:
                self.keys.pop(kid, None)
            case {"person": str(person)}:
                self.roles[person] = frozenset()
                held = [kid for kid, (key, _) in self.keys.items() if key.enrolment.person.id == person]
                for kid in held:
                    del self.keys[kid]
            case _:
                yield f"Entry {entry.seq} revokes nobody."

    def _on_vouched(self, entry: StoredEntry) -> Iterator[str]:
        voucher = voucher_from_json(entry.body)
        holder = None if voucher is None else self.holder(voucher.signed_by)
        genuine = (
            voucher is not None
            and holder is not None
            and "admin" in holder.person.roles
            and voucher.is_signed_with(holder.public_key)
        )
        if voucher is None or not genuine:
            yield f"Entry {entry.seq} names a key of the server that no administrator signed for."
            return
        self.server_keys[voucher.key.kid] = voucher

    def holder(self, kid: str) -> KeyHolder | None:
        """Who holds the key now, with the roles that were signed for and not taken away since."""
        known = self.keys.get(kid)
        if known is None:
            return None
        person = known[0].enrolment.person
        roles = person.roles & self.roles.get(person.id, frozenset())
        names = self.all_names(person.id) | person.aliases
        held_by = Person(person.id, person.tenant, roles, names - {person.id})
        return KeyHolder(held_by, kid, known[0].enrolment.public_key, known[1])

    def signatory(self, kid: str) -> Signatory | None:
        """The same, with every name of that human."""
        holder = self.holder(kid)
        if holder is None:
            return None
        names = frozenset[str]().union(*map(self.all_names, holder.person.identities))
        person = replace(holder.person, aliases=names - {holder.person.id})
        return Signatory(person, kid, holder.public_key)

    def all_names(self, name: str) -> frozenset[str]:
        """Every name that is the same human as `name` now."""
        return joined_names(name, self.names.values())
