"""Personal key files: where a person's private key lies, outside every data folder and readable by that
person alone.

The file is JSON: `{"v": 1, "person", "kid", "public_key", "private_key"}` with keys in unpadded base64url,
mode 0600. Nothing of it is ever quoted in an error.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from policies.errors import KeyFileRefused
from policies.principals import is_valid_id
from policies.signing import PersonalKey, b64url, from_b64url

KEY_FILE_VERSION: Final = 1
_LONGEST: Final = 4_096


def write_key_file(path: Path, key: PersonalKey, *, data_folder: Path) -> None:
    """Write a new key file, readable by this account alone; `KeyFileRefused` when it exists or may not lie
    there.
    """
    place = _outside(path, data_folder)
    content = {
        "v": KEY_FILE_VERSION,
        "person": key.person,
        "kid": key.kid,
        "public_key": key.public_key,
        "private_key": b64url(key.private.private_bytes_raw()),
    }
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyFileRefused(
            f"{place} exists already; a key is never overwritten. Name another file."
        ) from None
    except OSError as error:
        raise KeyFileRefused(f"{place} cannot be written ({error.strerror}); name another place.") from None
    with open(descriptor, "w", encoding="ascii") as file:
        json.dump(content, file, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(descriptor)


def read_key_file(path: Path, *, data_folder: Path) -> PersonalKey:
    """The key in a file; `KeyFileRefused` when it is missing, damaged, in the folder, or readable by
    others.
    """
    place = _outside(path, data_folder)
    try:
        with place.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            raw = file.read(_LONGEST + 1)
    except OSError as error:
        raise KeyFileRefused(
            f"{place} cannot be read ({error.strerror}); name your key file with --key."
        ) from None
    if mode & 0o077:
        raise KeyFileRefused(f"{place} can be read by other accounts; run `chmod 600 {place}`.")
    key = _parse(raw)
    if key is None:
        raise KeyFileRefused(
            f"{place} is no personal key file, or is damaged; restore it, or enrol a new key."
        )
    return key


def put_aside(path: Path, *, data_folder: Path) -> Path:
    """Move a key file out of the way, beside it, under a name that says which key it holds; its new place."""
    key = read_key_file(path, data_folder=data_folder)
    place = _outside(path, data_folder)
    aside = place.with_name(f"{place.name}.{key.kid}")
    if aside.exists():
        raise KeyFileRefused(f"{aside} exists already; move it away first.")
    place.rename(aside)
    return aside


def _outside(path: Path, data_folder: Path) -> Path:
    """The place a path names. Whoever can read the data folder must not be able to sign for a person."""
    place = path.expanduser().absolute()
    if place.resolve().is_relative_to(data_folder.expanduser().resolve()):
        raise KeyFileRefused(
            f"{place} is inside the data folder {data_folder}; keep personal keys outside of it."
        )
    return place


def _parse(raw: bytes) -> PersonalKey | None:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    match value:
        case {"v": 1, "person": str(person), "public_key": str(public_key), "private_key": str(private_key)}:
            seed = from_b64url(private_key, 32)
        case _:
            return None
    if seed is None or not is_valid_id(person):
        return None
    key = PersonalKey(person, Ed25519PrivateKey.from_private_bytes(seed))
    return key if key.public_key == public_key else None
