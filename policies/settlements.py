"""What a human found out about an execution in doubt: a signed statement that frees its target.

Nothing else frees it. The statement is `{v, execution, outcome, person, at, note}`; it names the execution,
so it settles no other, and its signer, so it cannot be moved to another name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from ledger.canonical import JsonObject, JsonValue
from policies.signing import SETTLEMENT_DOMAIN, PersonalKey, sign, verify

SETTLEMENT_VERSION: Final = 1
Finding = Literal["succeeded", "failed"]
"""It happened, or it certainly did not."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """That `person` found `execution` to have this `outcome`, at `at` milliseconds since the epoch; `note`
    says how.
    """

    execution: str
    outcome: Finding
    person: str
    at: int
    note: str

    def as_json(self) -> JsonObject:
        """The statement that is signed."""
        return {
            "v": SETTLEMENT_VERSION,
            "execution": self.execution,
            "outcome": self.outcome,
            "person": self.person,
            "at": self.at,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class SignedSettlement:
    """A settlement with its Ed25519 signature (unpadded base64url) and the id of the key that made it."""

    settlement: Settlement
    kid: str
    signature: str

    def is_signed_by(self, public_key: str) -> bool:
        """Whether the holder of `public_key` (base64url) signed exactly this."""
        return verify(public_key, SETTLEMENT_DOMAIN, self.settlement.as_json(), self.signature)

    def as_json(self) -> JsonObject:
        """What the log entry `execution.settled` holds of it."""
        return {**self.settlement.as_json(), "kid": self.kid, "signature": self.signature}


def sign_settlement(
    key: PersonalKey, execution: str, outcome: Finding, *, at: int, note: str
) -> SignedSettlement:
    """The finding of the key's person, signed."""
    settlement = Settlement(execution, outcome, key.person, at, note)
    return SignedSettlement(settlement, key.kid, sign(key, SETTLEMENT_DOMAIN, settlement.as_json()))


def settlement_from_json(value: JsonValue) -> SignedSettlement | None:
    """The signed settlement that `as_json` wrote, or None for anything else."""
    match value:
        case {
            "execution": str(execution),
            "outcome": ("succeeded" | "failed") as outcome,
            "person": str(person),
            "at": int(at),
            "note": str(note),
            "kid": str(kid),
            "signature": str(signature),
        }:
            signed = SignedSettlement(Settlement(execution, outcome, person, at, note), kid, signature)
            return signed if signed.as_json() == value else None
        case _:
            return None
