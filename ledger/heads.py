"""Signed heads: a few lines of text in which the server commits to the whole log so far.

The text is a C2SP tlog-checkpoint (c2sp.org/tlog-checkpoint) in a C2SP signed note (c2sp.org/signed-note), so
that common witnesses and tools understand it:

    bailiwick.example/4f1c            the log's origin
    1742                              entries in the log
    qGs7…=                            root hash of the tree over them, base64
    at 2026-11-22T23:45:00.123Z       extension line: when it was signed

    — bailiwick.example/4f1c Az3…=    key name, then base64 of 4 bytes of key hash and the signature
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.clock import parse_rfc3339, rfc3339
from ledger.keyring import KeyRing
from ledger.merkle import HASH_BYTES

_DASH = "\N{EM DASH} "
_ED25519 = b"\x01"  # signature type of c2sp.org/signed-note
_HINT_BYTES = 4


class HeadError(ValueError):
    """A text is no head, or not one that these keys signed; the message says why."""


@dataclass(frozen=True, slots=True)
class SignedHead:
    """What a head says: log `origin`, number of entries, 32-byte root, time; and `note`, the signed text."""

    origin: str
    size: int
    root: bytes
    at_ms: int
    note: str


def check_origin(origin: str) -> str:
    """Return the origin if it can be a key name of a signed note; `ValueError` otherwise."""
    if not origin or "+" in origin or not origin.isprintable() or any(letter.isspace() for letter in origin):
        raise ValueError(f"{origin[:60]!r} cannot name a log: use text without spaces and plus signs.")
    return origin


def make_head(keys: KeyRing, origin: str, size: int, root: bytes, at_ms: int) -> SignedHead:
    """Sign a head with the ring's key for heads."""
    text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\nat {rfc3339(at_ms)}\n"
    kid, signature = keys.sign("head", text.encode())
    hint = key_hint(origin, keys.public_keys("head")[kid])
    line = f"{_DASH}{origin} {base64.b64encode(hint + signature).decode()}\n"
    return SignedHead(origin, size, root, at_ms, f"{text}\n{line}")


def parse_head(note: str) -> SignedHead:
    """Read a head without believing it: only its form is checked. `HeadError` if it is malformed."""
    text, _ = _split(note)
    lines = text.removesuffix("\n").split("\n")
    if len(lines) != 4 or not lines[3].startswith("at "):
        raise HeadError("A head has four lines: origin, size, root and time.")
    origin, size, root, at = lines
    if not (size.isascii() and size.isdecimal()) or str(int(size)) != size:
        raise HeadError(f"{size[:30]!r} is not the size of a log.")
    try:
        return SignedHead(
            check_origin(origin), int(size), _unb64(root, HASH_BYTES), parse_rfc3339(at[3:]), note
        )
    except HeadError:
        raise
    except ValueError as error:
        raise HeadError(str(error)) from error


def verify_head(note: str, origin: str, public_keys: Mapping[str, bytes]) -> SignedHead:
    """Read a head of this log that one of these keys (id → 32 raw bytes) signed; `HeadError` otherwise."""
    head = parse_head(note)
    if head.origin != origin:
        raise HeadError(f"This is a head of the log {head.origin}, not of {origin}.")
    text, signatures = _split(note)
    by_hint = {key_hint(origin, key): key for key in public_keys.values()}
    for name, blob in signatures:
        key = by_hint.get(blob[:_HINT_BYTES])
        # Lines of other names and keys are witnesses' cosignatures; signed-note says to pass over them.
        if name == origin and key is not None:
            try:
                Ed25519PublicKey.from_public_bytes(key).verify(blob[_HINT_BYTES:], text.encode())
            except InvalidSignature as error:
                raise HeadError(f"The signature of the head of size {head.size} is wrong.") from error
            return head
    raise HeadError(f"The head of size {head.size} is not signed by a key of this log.")


def key_hint(origin: str, public_key: bytes) -> bytes:
    """The key hash of a signed note: the first 4 bytes of SHA-256(name ‖ newline ‖ type ‖ key)."""
    return hashlib.sha256(origin.encode() + b"\n" + _ED25519 + public_key).digest()[:_HINT_BYTES]


def _split(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    text, blank, tail = note.rpartition("\n\n")
    if not blank or not tail.endswith("\n"):
        raise HeadError("A head is its text, an empty line, and signature lines.")
    signatures: list[tuple[str, bytes]] = []
    for line in tail.removesuffix("\n").split("\n"):
        name, _, blob = line.removeprefix(_DASH).partition(" ")
        if not line.startswith(_DASH) or not name:
            raise HeadError("A signature line is a dash, a key name and a signature.")
        signatures.append((name, _unb64(blob)))
    return text + "\n", signatures


def _unb64(text: str, length: int | None = None) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise HeadError(f"{text[:20]!r} is not base64.") from error
    # Base64 has spare bits: without this, two texts would stand for the same bytes.
    if base64.b64encode(raw).decode() != text or length not in (None, len(raw)):
        raise HeadError(f"{text[:20]!r} is not the base64 that belongs here.")
    return raw
