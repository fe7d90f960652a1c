"""Signatures of people: Ed25519 over canonical statements, each kind of statement in a domain of its own.

What is signed is `domain ‖ 0x00 ‖ canonical JSON`. The domain keeps a signature made for one purpose from
counting for another: an enrolment can never be read as a verdict. Keys and signatures travel as unpadded
base64url, and only in their one canonical spelling. There is one algorithm and nothing to negotiate.
"""

import base64
import binascii
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.canonical import JsonObject, canonical
from ledger.keyring import key_id
from policies.errors import PolicyError

Domain = Literal[
    "bailiwick-verdict-v1",
    "bailiwick-enrolment-v1",
    "bailiwick-operation-v1",
    "bailiwick-settlement-v1",
    "bailiwick-server-key-v1",
]
VERDICT_DOMAIN: Final[Domain] = "bailiwick-verdict-v1"
ENROLMENT_DOMAIN: Final[Domain] = "bailiwick-enrolment-v1"
OPERATION_DOMAIN: Final[Domain] = "bailiwick-operation-v1"
SETTLEMENT_DOMAIN: Final[Domain] = "bailiwick-settlement-v1"
SERVER_KEY_DOMAIN: Final[Domain] = "bailiwick-server-key-v1"

_FIELD_PRIME: Final = 2**255 - 19
_ORDER_EIGHT_Y: Final = 2707385501144840649318225287225658788936804267575313519463743609750303402022
# The y coordinates of the points whose order divides eight. Under such a "key" one signature verifies for
# any message (RFC 8032, section 5.1.7, does not exclude it), so it can prove nobody's will.
_SMALL_ORDER_Y: Final = frozenset({0, 1, _FIELD_PRIME - 1, _ORDER_EIGHT_Y, _FIELD_PRIME - _ORDER_EIGHT_Y})


def b64url(data: bytes) -> str:
    """Unpadded base64url."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_b64url(text: str, length: int) -> bytes | None:
    """The `length` bytes that `text` spells, or None. Padding, other alphabets and unused bits that are set
    are refused.
    """
    try:
        data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    return data if len(data) == length and b64url(data) == text else None


def parse_public_key(text: str) -> bytes:
    """The 32 bytes of an Ed25519 public key from its base64url spelling; `PolicyError` when it is none, or
    a worthless one.
    """
    raw = from_b64url(text, 32)
    if raw is None:
        raise PolicyError(f"{text[:60]!r} is no public key: it must be 32 bytes in unpadded base64url.")
    y = int.from_bytes(raw, "little") & ((1 << 255) - 1)
    if y >= _FIELD_PRIME or y in _SMALL_ORDER_Y:
        raise PolicyError(
            "This public key is degenerate: a signature under it would prove nothing. Make a new key."
        )
    return raw


@dataclass(frozen=True, slots=True)
class PersonalKey:
    """The private key of one person, in memory. It never stands in a log, an error or a repr."""

    person: str
    private: Ed25519PrivateKey

    @property
    def public_key(self) -> str:
        """The public half in unpadded base64url."""
        return b64url(self.private.public_key().public_bytes_raw())

    @property
    def kid(self) -> str:
        """The id of this key, a short digest of its public half: a name, never a proof."""
        return key_id(self.private.public_key().public_bytes_raw())


def new_personal_key(person: str) -> PersonalKey:
    """A fresh key for `person`, from the operating system's random source."""
    return PersonalKey(person, Ed25519PrivateKey.generate())


def sign(key: PersonalKey, domain: Domain, statement: JsonObject) -> str:
    """The signature of `key` over `statement` in `domain`, in unpadded base64url."""
    return b64url(key.private.sign(_message(domain, statement)))


def verify(public_key: str, domain: Domain, statement: JsonObject, signature: str) -> bool:
    """Whether `signature` is that of `public_key` over exactly `statement` in `domain`. Malformed input is
    False.
    """
    raw = from_b64url(signature, 64)
    return raw is not None and _is_genuine(public_key, _message(domain, statement), raw)


@lru_cache(maxsize=4096)
def _is_genuine(public_key: str, message: bytes, signature: bytes) -> bool:
    """The check itself, remembered: it depends on these bytes alone, and enrolments are asked about often."""
    try:
        Ed25519PublicKey.from_public_bytes(parse_public_key(public_key)).verify(signature, message)
    except (InvalidSignature, PolicyError, ValueError):
        return False
    return True


def _message(domain: Domain, statement: JsonObject) -> bytes:
    return domain.encode() + b"\0" + canonical(statement)
