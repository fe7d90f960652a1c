"""Signed operations: how a person at the command line proves to the server who they are.

Access to the data folder, or to the loopback interface, is no identity. So a person signs each operation
that they ask for: its name, the digest of its arguments, themselves, the time, and a nonce. The check here
is pure; that a nonce is used once is remembered by whoever performs operations.
"""

from dataclasses import dataclass
from typing import Final

from ledger.canonical import JsonObject, digest
from policies.signing import OPERATION_DOMAIN, PersonalKey, sign, verify

OPERATION_VERSION: Final = 1
CLOCK_TOLERANCE_MS: Final = 30_000
"""How far a person's clock may be from the ledger's, in milliseconds. Signed statements beyond it are
refused.
"""

_ARGUMENTS_DOMAIN: Final = "bailiwick-operation-arguments-v1"


@dataclass(frozen=True, slots=True)
class SignedOperation:
    """An operation that `person` asks for with the key `kid`, at `at` milliseconds since the epoch."""

    op: str
    args_digest: str
    person: str
    at: int
    nonce: str
    kid: str
    signature: str

    def as_json(self) -> JsonObject:
        """The statement that is signed: everything but the key's id and the signature."""
        return {
            "v": OPERATION_VERSION,
            "op": self.op,
            "args_digest": self.args_digest,
            "person": self.person,
            "at": self.at,
            "nonce": self.nonce,
        }

    def is_signed_with(self, public_key: str) -> bool:
        """Whether the holder of `public_key` (base64url) signed exactly this, at whatever time."""
        return verify(public_key, OPERATION_DOMAIN, self.as_json(), self.signature)


def sign_operation(key: PersonalKey, op: str, args: JsonObject, *, at: int, nonce: str) -> SignedOperation:
    """The key's person asks for `op` with `args`; `nonce` is fresh random text, 16 characters or more."""
    unsigned = SignedOperation(op, arguments_digest(args), key.person, at, nonce, key.kid, "")
    signature = sign(key, OPERATION_DOMAIN, unsigned.as_json())
    return SignedOperation(op, unsigned.args_digest, key.person, at, nonce, key.kid, signature)


def verify_operation(
    signed: SignedOperation, public_key: str, op: str, args: JsonObject, *, now_ms: int
) -> bool:
    """Whether the holder of `public_key` asked, just now, for exactly `op` with `args`.

    True says nothing about whether that person may do it, nor whether the nonce is new: both are the
    caller's to check.
    """
    return (
        signed.op == op
        and signed.args_digest == arguments_digest(args)
        and -CLOCK_TOLERANCE_MS <= signed.at - now_ms <= CLOCK_TOLERANCE_MS
        and len(signed.nonce) >= 16
        and signed.is_signed_with(public_key)
    )


def arguments_digest(args: JsonObject) -> str:
    """What stands for an operation's arguments in the statement that is signed."""
    return digest(_ARGUMENTS_DOMAIN, args)


def operation_as_json(signed: SignedOperation) -> JsonObject:
    """The statement with the key's id and the signature, as the log keeps it for whoever checks it later."""
    return {**signed.as_json(), "kid": signed.kid, "signature": signed.signature}


def operation_from_json(value: JsonObject) -> SignedOperation | None:
    """The signed operation that `operation_as_json` wrote, or None if this is anything else."""
    match value:
        case {
            "op": str(op),
            "args_digest": str(args_digest),
            "person": str(person),
            "at": int(at),
            "nonce": str(nonce),
            "kid": str(kid),
            "signature": str(signature),
        }:
            signed = SignedOperation(op, args_digest, person, at, nonce, kid, signature)
        case _:
            return None
    return signed if operation_as_json(signed) == value else None
