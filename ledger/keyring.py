"""The server's own keys, one or more for each purpose, in one file that only the server's account can read.

A key that signs heads signs nothing else, so no signature can be carried from one purpose to another. The
keys of people are never here.

A key takes over from another with an overlap. Adding one makes it the newest: from then on it signs, and
where old and new must both be known to somebody (heads), the older ones sign too. Retiring the older one ends
that: its private half is destroyed, so it signs nothing new, and its public half stays to verify what it
signed before.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.ring_file import (
    KeyRingError,
    RingKey,
    create_ring,
    fresh_secret,
    fresh_signing_key,
    key_id,
    load_ring,
    not_a_ring,
    replace_ring,
)

__all__ = ["KeyRing", "KeyRingError", "KeyState", "Purpose", "RingKey", "Signed", "key_id"]

SigningPurpose = Literal["head", "export"]
"""What an Ed25519 key of the ring is for: the log's heads, exported approvals."""

SecretPurpose = Literal["approval-token", "sealing"]
"""What a 32-byte secret of the ring is for: deriving approval tokens, and the keys of sealed arguments
(HMAC).
"""

Purpose = Literal["head", "export", "approval-token", "sealing"]
"""What any key of the ring is for."""

KeyState = Literal["newest", "overlapping", "retired"]
"""Newest: signs, or derives what is new. Overlapping: still good. Retired: verifies what it signed before."""

_SIGNING: tuple[SigningPurpose, ...] = get_args(SigningPurpose)
_SECRET: tuple[SecretPurpose, ...] = get_args(SecretPurpose)


class Signed(NamedTuple):
    """A signature and the id of the key that made it."""

    kid: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class _Ring:
    """What is in force, oldest first; replaced as a whole, so that every thread sees one ring."""

    keys: tuple[RingKey, ...]
    signers: dict[str, list[tuple[RingKey, Ed25519PrivateKey]]]
    secrets: dict[str, list[bytes]]


class KeyRing:
    """The keys of one data folder. Printing it shows where it is and nothing of the keys."""

    def __init__(self, folder: Path, keys: Iterable[RingKey]) -> None:
        """Use `create` or `load`."""
        self._folder = folder
        self._changing = threading.Lock()
        self._ring = _in_force(folder, tuple(keys))

    def __repr__(self) -> str:
        """Where the ring is."""
        return f"KeyRing({str(self._folder)!r})"

    @classmethod
    def create(cls, folder: Path) -> "KeyRing":
        """Make a new ring in `folder` (mode 0700, file 0600); `KeyRingError` if there is one already."""
        keys = [fresh_signing_key(purpose) for purpose in _SIGNING]
        create_ring(folder, [*keys, *(fresh_secret(purpose) for purpose in _SECRET)])
        return cls.load(folder)

    @classmethod
    def load(cls, folder: Path) -> "KeyRing":
        """Read the ring of `folder`; `KeyRingError` if it is absent, open to others, or not a key ring."""
        return cls(folder, load_ring(folder))

    def sign(self, purpose: SigningPurpose, data: bytes) -> Signed:
        """Sign with the newest key of a purpose (Ed25519, 64 bytes)."""
        key, private = self._ring.signers[purpose][-1]
        return Signed(key.kid, private.sign(data))

    def sign_with_all(self, purpose: SigningPurpose, data: bytes) -> list[tuple[bytes, bytes]]:
        """Sign with every key of a purpose that is not retired, newest last: public half and signature."""
        return [(key.public or b"", private.sign(data)) for key, private in self._ring.signers[purpose]]

    def public_keys(self, purpose: SigningPurpose) -> dict[str, bytes]:
        """Every public key of a purpose, newest last, also those that sign no more: key id → 32 raw bytes."""
        return {key.kid: key.public for key in self._ring.keys if key.purpose == purpose and key.public}

    def retired(self, purpose: Purpose) -> dict[str, int]:
        """The retired keys of a purpose: key id → the log entry from which on it is no longer good."""
        return {
            key.kid: key.retired_at
            for key in self._ring.keys
            if key.purpose == purpose and key.retired_at is not None
        }

    def secret(self, purpose: SecretPurpose) -> bytes:
        """The newest 32-byte secret of a purpose."""
        return self._ring.secrets[purpose][-1]

    def secrets(self, purpose: SecretPurpose) -> list[bytes]:
        """Every secret of a purpose that is not retired, newest first."""
        return self._ring.secrets[purpose][::-1]

    def secrets_without(self, purpose: SecretPurpose, kid: str) -> list[bytes]:
        """The same without one of them: what is left when that one is retired."""
        return [
            key.private
            for key in self._ring.keys
            if key.purpose == purpose and key.private is not None and key.kid != kid
        ]

    def standing(self) -> list[tuple[RingKey, KeyState]]:
        """Every key and how it stands, oldest first."""
        newest = {key.purpose: key.kid for key in self._ring.keys if key.retired_at is None}
        return [
            (replace(key, private=None), "retired" if key.retired_at is not None else _standing(key, newest))
            for key in self._ring.keys
        ]

    def add(self, purpose: Purpose) -> RingKey:
        """Make a new key of a purpose the newest; those before it overlap with it until they are retired."""
        with self._changing:
            made = fresh_secret(purpose) if purpose in _SECRET else fresh_signing_key(purpose)
            self._replace((*load_ring(self._folder), made))
        return replace(made, private=None)

    def retire(self, kid: str, at: int) -> None:
        """Destroy the private half of an overlapping key; it is no longer good from log entry `at` on.

        `KeyRingError` if there is no such key, or if it is the newest of its purpose.
        """
        with self._changing:
            state = {key.kid: state for key, state in self.standing()}.get(kid)
            if state != "overlapping":
                raise KeyRingError(_why_not(kid, state))
            self._replace(
                tuple(
                    replace(key, private=None, retired_at=at) if key.kid == kid else key
                    for key in load_ring(self._folder)
                )
            )

    def _replace(self, keys: tuple[RingKey, ...]) -> None:
        ring = _in_force(self._folder, keys)
        replace_ring(self._folder, keys)
        self._ring = ring


def _in_force(folder: Path, keys: tuple[RingKey, ...]) -> _Ring:
    signers = {
        purpose: [
            (key, Ed25519PrivateKey.from_private_bytes(key.private))
            for key in keys
            if key.purpose == purpose and key.private is not None and key.public is not None
        ]
        for purpose in _SIGNING
    }
    secrets = {
        purpose: [key.private for key in keys if key.purpose == purpose and key.private is not None]
        for purpose in _SECRET
    }
    if not all(signers.values()) or not all(secrets.values()):
        raise not_a_ring(folder)
    return _Ring(keys, {**signers}, {**secrets})


def _standing(key: RingKey, newest: dict[str, str]) -> KeyState:
    return "newest" if newest[key.purpose] == key.kid else "overlapping"


def _why_not(kid: str, state: str | None) -> str:
    if state is None:
        return f"The ring has no key {kid[:64]}; `bailiwick key ring` lists those there are."
    if state == "retired":
        return f"The key {kid} is retired already."
    return f"{kid} is the newest key of its purpose; add its successor first with `bailiwick key rotate`."
