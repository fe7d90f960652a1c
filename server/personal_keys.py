"""Where people keep their keys: in their own configuration folder, sorted by data folder, and never inside
one.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from ledger.canonical import JsonObject
from ledger.clock import system_now_ms
from policies.key_files import read_key_file
from policies.operations import SignedOperation, sign_operation
from policies.signing import PersonalKey
from server.data_folder import DataFolder
from server.errors import BadInput
from server.settings import Settings


def keys_home(folder_id: str) -> Path:
    """The folder for the keys that this person holds for one data folder."""
    base = os.environ.get("XDG_CONFIG_HOME")
    config = Path(base) if base and Path(base).is_absolute() else Path.home() / ".config"
    return config / "bailiwick" / "keys" / folder_id


def key_path(folder_id: str, person: str) -> Path:
    """Where a person's key for one data folder is kept unless they say otherwise."""
    return keys_home(folder_id) / f"{person}.json"


def personal_key(folder: DataFolder, settings: Settings) -> PersonalKey:
    """The key that this command signs with: the one that is named, or the only one there is."""
    return read_key_file(_chosen(folder, settings), data_folder=folder.root)


def _chosen(folder: DataFolder, settings: Settings) -> Path:
    if settings.key is not None:
        return settings.key.expanduser()
    home = keys_home(folder.id)
    held = (
        sorted(path for path in home.glob("*.json") if not path.name.startswith(".")) if home.is_dir() else []
    )
    if settings.person is not None:
        named = [path for path in held if path.stem == settings.person]
        if named:
            return named[0]
        raise BadInput(
            f"There is no key of {settings.person} in {home}; name its file with --key, or make one with "
            "`bailiwick key new`."
        )
    if len(held) == 1:
        return held[0]
    if not held:
        raise BadInput(
            f"You hold no key for this data folder ({home} has none); name one with --key or BAILIWICK_KEY, "
            "or make one with `bailiwick key new` and have an admin enrol it."
        )
    people = ", ".join(path.stem for path in held)
    raise BadInput(f"You hold several keys for this data folder: {people}; say which with --as.")


def sign_now(key: PersonalKey, name: str, args: JsonObject) -> SignedOperation:
    """An operation, signed now and good for once."""
    return sign_operation(key, name, args, at=system_now_ms(), nonce=secrets.token_urlsafe(24))
