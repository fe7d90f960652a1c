"""The server's own keys, one for each purpose, in one file that only the server's account can read.

A key that signs heads signs nothing else, so no signature can be carried from one purpose to another. The
keys of people are never here. Within a purpose the newest key signs; older ones stay, to verify what they
signed.
"""

import base64
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.canonical import CanonicalError, parse_strict

SigningPurpose = Literal["head", "export"]
"""What an Ed25519 key of the ring is for: the log's heads, exported approvals."""

SecretPurpose = Literal["approval-token", "sealing"]
"""What a 32-byte secret of the ring is for: deriving approval tokens, and the keys of sealed arguments
(HMAC).
"""

_SIGNING: tuple[SigningPurpose, ...] = ("head", "export")
_SECRET: tuple[SecretPurpose, ...] = ("approval-token", "sealing")
_FILE = "ring.json"
_MAX_BYTES = 65_536


class KeyRingError(Exception):
    """The key ring cannot be made or used; the message says why and what to do, never what a key is."""


class Signed(NamedTuple):
    """A signature and the id of the key that made it."""

    kid: str
    signature: bytes


class KeyRing:
    """The keys of one data folder. Printing it shows where it is and nothing of the keys."""

    def __init__(
        self,
        folder: Path,
        signing: Mapping[SigningPurpose, Mapping[str, Ed25519PrivateKey]],
        secret: Mapping[SecretPurpose, bytes],
    ) -> None:
        """Use `create` or `load`."""
        self._folder = folder
        self._signing = signing
        self._secret = secret

    def __repr__(self) -> str:
        """Where the ring is."""
        return f"KeyRing({str(self._folder)!r})"

    @classmethod
    def create(cls, folder: Path) -> "KeyRing":
        """Make a new ring in `folder` (mode 0700, file 0600); `KeyRingError` if there is one already."""
        keys = [_fresh_signing_key(purpose) for purpose in _SIGNING]
        keys += [_fresh_secret(purpose) for purpose in _SECRET]
        content = json.dumps({"v": 1, "keys": keys}, indent=1).encode()
        path = folder / _FILE
        draft = folder / f".{_FILE}.{secrets.token_hex(4)}"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _refuse_loose(folder, folder.stat())
            _write_private(draft, content)
            try:
                os.link(draft, path)  # unlike a rename, this never replaces a ring that is already there
            finally:
                draft.unlink()
            _sync_folder(folder)
        except FileExistsError as error:
            raise KeyRingError(f"{path} already exists; load it, or choose another folder.") from error
        except OSError as error:
            raise KeyRingError(f"The keys could not be written to {folder}: {error.strerror}.") from error
        return cls.load(folder)

    @classmethod
    def load(cls, folder: Path) -> "KeyRing":
        """Read the ring of `folder`; `KeyRingError` if it is absent, open to others, or not a key ring."""
        path = folder / _FILE
        try:
            _refuse_loose(folder, folder.stat())
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            with open(descriptor, "rb") as file:
                _refuse_loose(path, os.fstat(descriptor))
                content = file.read(_MAX_BYTES + 1)
        except OSError as error:
            raise KeyRingError(f"The keys in {path} could not be read: {error.strerror}.") from error
        try:
            return cls(folder, *_parse(content))
        except (CanonicalError, KeyError, TypeError, ValueError):
            # The cause is not chained: its message could quote key material.
            raise KeyRingError(f"{path} is not a key ring of this version; restore a backup.") from None

    def sign(self, purpose: SigningPurpose, data: bytes) -> Signed:
        """Sign with the newest key of a purpose (Ed25519, 64 bytes)."""
        kid, key = list(self._signing[purpose].items())[-1]
        return Signed(kid, key.sign(data))

    def public_keys(self, purpose: SigningPurpose) -> dict[str, bytes]:
        """Every public key of a purpose, newest last, also those that sign no more: key id → 32 raw bytes."""
        return {kid: key.public_key().public_bytes_raw() for kid, key in self._signing[purpose].items()}

    def secret(self, purpose: SecretPurpose) -> bytes:
        """The 32-byte secret of a purpose."""
        return self._secret[purpose]


def key_id(public_key: bytes) -> str:
    """The id of an Ed25519 public key: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(public_key).hexdigest()[:16]


def _fresh_signing_key(purpose: SigningPurpose) -> dict[str, str]:
    key = Ed25519PrivateKey.generate()
    kid = key_id(key.public_key().public_bytes_raw())
    return {"purpose": purpose, "kid": kid, "algorithm": "Ed25519", "private": _b64(key.private_bytes_raw())}


def _fresh_secret(purpose: SecretPurpose) -> dict[str, str]:
    return {"purpose": purpose, "algorithm": "HMAC-SHA256", "private": _b64(secrets.token_bytes(32))}


def _parse(
    content: bytes,
) -> tuple[dict[SigningPurpose, dict[str, Ed25519PrivateKey]], dict[SecretPurpose, bytes]]:
    value = parse_strict(content, max_bytes=_MAX_BYTES)
    if not isinstance(value, dict) or value["v"] != 1:
        raise ValueError
    keys = cast("Sequence[Mapping[str, str]]", value["keys"])
    signing: dict[SigningPurpose, dict[str, Ed25519PrivateKey]] = {}
    for purpose in _SIGNING:
        own = [_unb64(key["private"]) for key in keys if key["purpose"] == purpose]
        loaded = [Ed25519PrivateKey.from_private_bytes(raw) for raw in own]
        signing[purpose] = {key_id(key.public_key().public_bytes_raw()): key for key in loaded}
    secret: dict[SecretPurpose, bytes] = {
        purpose: _unb64(key["private"]) for purpose in _SECRET for key in keys if key["purpose"] == purpose
    }
    if (
        not all(signing.values())
        or secret.keys() != set(_SECRET)
        or any(len(s) != 32 for s in secret.values())
    ):
        raise ValueError
    return signing, secret


def _refuse_loose(path: Path, found: os.stat_result) -> None:
    if stat.S_IMODE(found.st_mode) & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        wanted = "700" if stat.S_ISDIR(found.st_mode) else "600"
        raise KeyRingError(
            f"{path} has mode {mode:03o}, so other accounts can reach the keys; run `chmod {wanted} {path}`."
        )


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()


def _unb64(text: str) -> bytes:
    return base64.b64decode(text, altchars=b"-_", validate=True)
