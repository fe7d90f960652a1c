"""Signed heads: a few lines of text in which the server commits to the whole log so far.

The text is a C2SP tlog-checkpoint (c2sp.org/tlog-checkpoint) in a C2SP signed note (c2sp.org/signed-note), so
that common witnesses and tools understand it:

    bailiwick.example/4f1c            the log's origin
    1742                              entries in the log
    qGs7…=                            root hash of the tree over them, base64
    at 2026-11-22T23:45:00.123Z       extension line: when it was signed

    — bailiwick.example/4f1c Az3…=    key name, then base64 of 4 bytes of key hash and the signature

While one key takes over from another, both sign: whoever knows either of them can verify the head.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.clock import parse_rfc3339, rfc3339
from ledger.keyring import KeyRing
from ledger.merkle import HASH_BYTES

NEVER: Mapping[str, int] = MappingProxyType({})
"""No key was retired."""

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


@lru_cache(maxsize=64)
def check_origin(origin: str) -> str:
    """Return the origin if it can be a key name of a signed note; `ValueError` otherwise."""
    if not origin or "+" in origin or not origin.isprintable() or any(letter.isspace() for letter in origin):
        raise ValueError(f"{origin[:60]!r} cannot name a log: use text without spaces and plus signs.")
    return origin


def make_head(keys: KeyRing, origin: str, size: int, root: bytes, at_ms: int) -> SignedHead:
    """Sign a head with every key of the ring that signs heads now: one, or two while one takes over."""
    text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\nat {rfc3339(at_ms)}\n"
    lines = "".join(
        signature_line(origin, key_hint(origin, public) + signature)
        for public, signature in keys.sign_with_all("head", text.encode())
    )
    return SignedHead(origin, size, root, at_ms, f"{text}\n{lines}")


@lru_cache(maxsize=8)
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


def verify_head(
    note: str, origin: str, public_keys: Mapping[str, bytes], retired: Mapping[str, int] = NEVER
) -> SignedHead:
    """Read a head of this log that one of these keys (id → 32 raw bytes) signed; `HeadError` otherwise.

    `retired` tells of keys that are no longer good: id → the first size of a log that they may not sign.
    """
    head = parse_head(note)
    if head.origin != origin:
        raise HeadError(f"This is a head of the log {head.origin}, not of {origin}.")
    text, signatures = _split(note)
    by_hint = {
        key_hint(origin, key): key
        for kid, key in public_keys.items()
        if kid not in retired or head.size < retired[kid]
    }
    for name, blob in signatures:
        key = by_hint.get(blob[:_HINT_BYTES])
        # Lines of other names and keys are witnesses' cosignatures; signed-note says to pass over them.
        if name == origin and key is not None:
            try:
                _loaded(key).verify(blob[_HINT_BYTES:], text.encode())
            except InvalidSignature as error:
                raise HeadError(f"The signature of the head of size {head.size} is wrong.") from error
            return head
    raise HeadError(f"The head of size {head.size} is not signed by a key of this log.")


@lru_cache(maxsize=256)
def key_hint(name: str, public_key: bytes, kind: bytes = _ED25519) -> bytes:
    """The key hash of a signed note: the first 4 bytes of SHA-256(name ‖ newline ‖ type ‖ key)."""
    return hashlib.sha256(name.encode() + b"\n" + kind + public_key).digest()[:_HINT_BYTES]


class VerifierKey(NamedTuple):
    """A vkey of c2sp.org/signed-note: who signs, and the public half, as people hand it on in one line."""

    name: str
    public_key: bytes


def write_vkey(name: str, public_key: bytes, kind: bytes = _ED25519) -> str:
    """`name+hash+key`: the text form of a public key that verifies notes."""
    key = base64.b64encode(kind + public_key).decode()
    return f"{name}+{key_hint(name, public_key, kind).hex()}+{key}"


def read_vkey(text: str, kind: bytes = _ED25519) -> VerifierKey:
    """The reverse of `write_vkey`; `HeadError` unless it is exactly that, for a key of this kind."""
    name, _, rest = text.strip().partition("+")
    _, _, encoded = rest.partition("+")
    raw = _unb64(encoded, 33)
    if raw[:1] != kind or write_vkey(check_origin(name), raw[1:], kind) != text.strip():
        raise HeadError(f"{text[:80]!r} is no verifier key of this kind; it is written name+hash+key.")
    return VerifierKey(name, raw[1:])


def signature_line(name: str, blob: bytes) -> str:
    """One line at the end of a note: who signed, then the key hash and what that kind of signature holds."""
    return f"{_DASH}{name} {base64.b64encode(blob).decode()}\n"


def signed_text(note: str) -> str:
    """What of a note is signed: all before the empty line. `HeadError` if it is no note."""
    return _split(note)[0]


def signatures_of(note: str) -> list[tuple[str, bytes]]:
    """The signature lines of a note: name, and the bytes behind it. `HeadError` if it is no note."""
    return _split(note)[1]


@lru_cache(maxsize=256)
def _loaded(public_key: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public_key)


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
