"""The data folder: everything that one installation keeps, where each part lies, and whose it is just now.

    folder.json       which folder this is
    ledger.sqlite3    the log and all state that changes with it
    knowledge.duckdb  sources, versions and passages
    keys/             the server's own keys; never a person's
    policy/           Cedar policies
    catalogue/        one YAML file for each upstream
    workflows/        one YAML file for each workflow
    accepted/         upstream tools as an admin accepted them, to show later what changed
    logs/             what upstreams print about themselves
    secrets.env       NAME=value lines for the upstreams' ${NAME}
    bailiwick.toml    settings (optional)
    owner.json        which process owns the folder, and where it listens
    newest-head.json  the newest signed head that a server saw: no older ledger is put in its place unnoticed

Who owns the folder just now is told by `server.ownership`.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.clock import system_now_ms
from ledger.ids import is_id, new_id
from ledger.keyring import KeyRing
from server.errors import BadInput, RuleRefused, Unavailable

FOLDER_VERSION: Final = 1
_MARK: Final = "folder.json"


@dataclass(frozen=True, slots=True)
class DataFolder:
    """One data folder: its absolute path and its id. Every other place follows from these."""

    root: Path
    id: str

    @property
    def origin(self) -> str:
        """The name of this folder's log."""
        return f"bailiwick/{self.id}"

    @property
    def ledger_url(self) -> str:
        """The embedded ledger's URL."""
        return f"sqlite:///{self.root / 'ledger.sqlite3'}"

    @property
    def knowledge_path(self) -> Path:
        """The knowledge store's file."""
        return self.root / "knowledge.duckdb"

    @property
    def mark_file(self) -> Path:
        """What makes the folder a data folder."""
        return self.root / _MARK

    @property
    def keys_dir(self) -> Path:
        """The server's key ring."""
        return self.root / "keys"

    @property
    def policy_dir(self) -> Path:
        """The Cedar policies and their schema."""
        return self.root / "policy"

    @property
    def catalogue_dir(self) -> Path:
        """The catalogue's files."""
        return self.root / "catalogue"

    @property
    def workflows_dir(self) -> Path:
        """The workflow files."""
        return self.root / "workflows"

    @property
    def accepted_dir(self) -> Path:
        """Definitions of upstream tools as they were accepted."""
        return self.root / "accepted"

    @property
    def logs_dir(self) -> Path:
        """What upstreams print about themselves, one file each."""
        return self.root / "logs"

    @property
    def secrets_file(self) -> Path:
        """The upstreams' secrets; it need not exist."""
        return self.root / "secrets.env"

    @property
    def settings_file(self) -> Path:
        """The folder's settings; it need not exist."""
        return self.root / "bailiwick.toml"

    @property
    def owner_file(self) -> Path:
        """Which process owns the folder."""
        return self.root / "owner.json"

    @property
    def newest_head_file(self) -> Path:
        """The newest head of the log that a server of this folder saw."""
        return self.root / "newest-head.json"

    @property
    def lock_file(self) -> Path:
        """What the owning process holds locked."""
        return self.root / ".lock"

    def places(self) -> dict[str, str]:
        """What `${PYTHON}` and `${DATA}` stand for in the catalogue."""
        return {"PYTHON": sys.executable, "DATA": str(self.root)}


def open_folder(root: Path) -> DataFolder:
    """The data folder at `root`. `BadInput` when there is none, or one that this version cannot use."""
    place = root.expanduser().absolute()
    try:
        raw = (place / _MARK).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise BadInput(
            f"{place} is no data folder of Bailiwick; name one with --data or BAILIWICK_DATA, or make it "
            f"with `bailiwick init --data {place}`."
        ) from None
    except OSError as error:
        raise Unavailable(f"The data folder {place} cannot be read: {error.strerror}.") from None
    try:
        value = json.loads(raw)
        version, folder_id = value["v"], value["id"]
    except (ValueError, TypeError, KeyError):
        raise BadInput(f"{place / _MARK} is damaged; restore the data folder from a backup.") from None
    if version != FOLDER_VERSION or not isinstance(folder_id, str) or not is_id("fld", folder_id):
        raise BadInput(f"The data folder {place} was made by another version of Bailiwick; use that version.")
    return DataFolder(place, folder_id)


def create_folder(root: Path) -> DataFolder:
    """Make a data folder with a key ring and the default policies; see `creating_folder`."""
    with creating_folder(root):
        pass
    return open_folder(root)


@contextmanager
def creating_folder(root: Path) -> Generator[DataFolder]:
    """Make a data folder beside its place and move it there when the block ends; if it raises, nothing stays.

    `RuleRefused` when something is there already.
    """
    place = root.expanduser().absolute()
    draft = place.parent / f".{place.name}.{secrets.token_hex(4)}"
    try:
        refuse_taken(place)
        place.parent.mkdir(parents=True, exist_ok=True)
        draft.mkdir(mode=0o700)
        folder = DataFolder(draft, new_id("fld", system_now_ms()))
        _fill(folder)
        yield folder
        # Moving over an empty folder replaces it; over anything else it fails.
        draft.rename(place)
    except OSError as error:
        raise Unavailable(f"The data folder {place} cannot be made: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def refuse_taken(place: Path) -> None:
    """`RuleRefused` or `BadInput` unless a data folder can be made at `place`: nothing is there, or an empty
    folder.
    """
    if (place / _MARK).exists():
        raise RuleRefused(f"{place} is a data folder already; use it as it is, or name another place.")
    if place.is_dir():
        try:
            empty = not any(place.iterdir())
        except OSError as error:
            raise Unavailable(f"The folder {place} cannot be read: {error.strerror}.") from None
        if not empty:
            raise RuleRefused(f"{place} is not empty and no data folder; name an empty folder or a new one.")
    elif place.exists():
        raise BadInput(f"{place} is a file; name a folder.")


def _fill(folder: DataFolder) -> None:
    from policies.cedar import DEFAULT_FOLDER  # only needed here, and slow to import

    for part in (folder.policy_dir, folder.catalogue_dir, folder.workflows_dir, folder.accepted_dir):
        part.mkdir(mode=0o700)
    folder.logs_dir.mkdir(mode=0o700)
    for source in sorted(DEFAULT_FOLDER.iterdir()):
        if source.suffix in {".cedar", ".cedarschema"}:
            write_private(folder.policy_dir / source.name, source.read_bytes())
    KeyRing.create(folder.keys_dir)
    write_private(folder.secrets_file, b"# NAME=value lines; the catalogue uses them as ${NAME}.\n")
    mark = {"v": FOLDER_VERSION, "id": folder.id}
    write_private(folder.root / _MARK, json.dumps(mark).encode() + b"\n")


def is_loose(found: os.stat_result) -> bool:
    """Whether other accounts can do anything with a file."""
    return bool(stat.S_IMODE(found.st_mode) & 0o077)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only this account can read, whole or not at all."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
