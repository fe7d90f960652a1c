"""The file of the server's keys: what stands in it, who may read it, and how it is replaced whole.

Nothing here ever puts key material into a message.
"""

import base64
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.canonical import CanonicalError, parse_strict

_FILE = "ring.json"
_MAX_BYTES = 262_144
_SECRET_ID_DOMAIN = b"bailiwick-secret-id-v1\0"


class KeyRingError(Exception):
    """The key ring cannot be made or used; the message says why and what to do, never what a key is."""


@dataclass(frozen=True, slots=True)
class RingKey:
    """One key. `public` is an Ed25519 public half, None for a secret; a retired key has no `private`.

    `retired_at` is the number of the log entry from which on it is no longer good.
    """

    purpose: str
    kid: str
    public: bytes | None
    private: bytes | None = field(repr=False)
    retired_at: int | None = None


def fresh_signing_key(purpose: str) -> RingKey:
    """A new Ed25519 key."""
    return _signing_key(purpose, Ed25519PrivateKey.generate().private_bytes_raw())


def fresh_secret(purpose: str) -> RingKey:
    """A new secret of 32 bytes."""
    return _secret(purpose, secrets.token_bytes(32))


def key_id(public_key: bytes) -> str:
    """The id of an Ed25519 public key: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(public_key).hexdigest()[:16]


def create_ring(folder: Path, keys: Iterable[RingKey]) -> None:
    """Write the first ring of `folder` (mode 0700, file 0600); `KeyRingError` if there is one already."""
    path = folder / _FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_loose(folder, folder.stat())
        draft = _draft(folder, keys)
        try:
            os.link(draft, path)  # unlike a rename, this never replaces a ring that is already there
        finally:
            draft.unlink()
        _sync_folder(folder)
    except FileExistsError as error:
        raise KeyRingError(f"{path} already exists; load it, or choose another folder.") from error
    except OSError as error:
        raise _unwritten(folder, error) from error


def replace_ring(folder: Path, keys: Iterable[RingKey]) -> None:
    """Write the ring of `folder` anew, whole or not at all."""
    try:
        draft = _draft(folder, keys)
        try:
            draft.replace(folder / _FILE)
        finally:
            draft.unlink(missing_ok=True)
        _sync_folder(folder)
    except OSError as error:
        raise _unwritten(folder, error) from error


def load_ring(folder: Path) -> tuple[RingKey, ...]:
    """Every key of the ring, oldest first; `KeyRingError` if it is absent, open to others, or no key ring."""
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
        value = parse_strict(content, max_bytes=_MAX_BYTES)
        if not isinstance(value, dict) or value["v"] != 1:
            raise ValueError
        return tuple(_parsed(key) for key in cast("Sequence[Mapping[str, object]]", value["keys"]))
    except (CanonicalError, KeyError, TypeError, ValueError):
        # The cause is not chained: its message could quote key material.
        raise not_a_ring(folder) from None


def not_a_ring(folder: Path) -> KeyRingError:
    """What to say of a file that is something else."""
    return KeyRingError(f"{folder / _FILE} is not a key ring of this version; restore a backup.")


def _parsed(key: Mapping[str, object]) -> RingKey:
    purpose, algorithm = str(key["purpose"]), key["algorithm"]
    if algorithm not in ("Ed25519", "HMAC-SHA256"):
        raise ValueError
    signs = algorithm == "Ed25519"
    if "retired_at" in key:
        kid, retired_at = key["kid"], key["retired_at"]
        public = _unb64(key["public"]) if signs else None
        if not isinstance(kid, str) or type(retired_at) is not int or (public and key_id(public) != kid):
            raise ValueError
        return RingKey(purpose, kid, public, None, retired_at)
    private = _unb64(key["private"])
    return _signing_key(purpose, private) if signs else _secret(purpose, private)


def _signing_key(purpose: str, private: bytes) -> RingKey:
    public = Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    return RingKey(purpose, key_id(public), public, private)


def _secret(purpose: str, private: bytes) -> RingKey:
    if len(private) != 32:
        raise ValueError
    return RingKey(purpose, hashlib.sha256(_SECRET_ID_DOMAIN + private).hexdigest()[:16], None, private)


def _written(key: RingKey) -> dict[str, str | int]:
    value: dict[str, str | int] = {
        "purpose": key.purpose,
        "kid": key.kid,
        "algorithm": "HMAC-SHA256" if key.public is None else "Ed25519",
    }
    if key.private is not None:
        value["private"] = _b64(key.private)
    if key.retired_at is not None:
        value["retired_at"] = key.retired_at
        if key.public is not None:
            value["public"] = _b64(key.public)
    return value


def _draft(folder: Path, keys: Iterable[RingKey]) -> Path:
    content = json.dumps({"v": 1, "keys": [_written(key) for key in keys]}, indent=1).encode()
    draft = folder / f".{_FILE}.{secrets.token_hex(4)}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    return draft


def _refuse_loose(path: Path, found: os.stat_result) -> None:
    if stat.S_IMODE(found.st_mode) & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        wanted = "700" if stat.S_ISDIR(found.st_mode) else "600"
        raise KeyRingError(
            f"{path} has mode {mode:03o}, so other accounts can reach the keys; run `chmod {wanted} {path}`."
        )


def _unwritten(folder: Path, error: OSError) -> KeyRingError:
    return KeyRingError(f"The keys could not be written to {folder}: {error.strerror}.")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()


def _unb64(text: object) -> bytes:
    return base64.b64decode(cast("str", text), altchars=b"-_", validate=True)
