"""A backup: the whole data folder in one file, taken while others read and write, and a folder made of it.

Both engines are copied as one pair: nobody curates meanwhile, so what the ledger says was drafted and
published is what the knowledge store holds; everything else of the ledger may go on. The log proves itself
when it is opened again, and every file has its digest in the manifest. What lies in the folder and belongs to
an upstream is not ours, and is not in it.

A folder that was restored is frozen: an approval that was used after the backup would look unused in it. A
person looks at what happened since, and lets it go on.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final, cast

from context_store.check import check_store
from context_store.opening import open_knowledge
from context_store.store import KnowledgeStore
from ledger.canonical import JsonObject
from ledger.clock import rfc3339, system_now_ms
from ledger.entries import WHOLE_FOLDER, Entry
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from ledger.transaction import Transaction
from policies.gate_state import read_gate, set_frozen
from server.data_folder import DataFolder, open_folder, refuse_taken
from server.errors import BadInput, Unavailable
from server.new_file import writing_new
from server.open_ledger import open_ledger

BACKUP_VERSION: Final = 1
MANIFEST: Final = "manifest.json"
_KIND: Final = "bailiwick-backup"
_MANIFEST_BYTES: Final = 16 * 1024 * 1024
_CHUNK: Final = 1024 * 1024


def back_up(
    folder: DataFolder, ledger: Ledger, store: KnowledgeStore, path: Path, version: str
) -> JsonObject:
    """Write the folder to a new file at `path`; what its manifest says, without the digests."""
    # The copies lie beside the folder's own files: what holds them can hold them twice.
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=folder.root) as place:
        copies = Path(place)
        with store.curating, store.still() as knowledge:
            shutil.copyfile(knowledge, copies / folder.knowledge_path.name)
            ledger.copy_to(copies / _ledger_file(folder).name)
        named = {path.name: path for path in sorted(copies.iterdir())}
        named |= {found.relative_to(folder.root).as_posix(): found for found in _own_files(folder)}
        said: JsonObject = {
            "v": BACKUP_VERSION,
            "kind": _KIND,
            "folder": folder.id,
            "at": rfc3339(system_now_ms()),
            "made_by": version,
        }
        manifest = {**said, "files": {name: _digest(found) for name, found in named.items()}}
        with writing_new(path) as draft:
            with tarfile.open(draft, "w") as archive:
                _put(archive, MANIFEST, io.BytesIO(json.dumps(manifest, indent=1).encode()))
                for name, found in named.items():
                    with found.open("rb") as file:
                        _put(archive, name, file)
            with draft.open("rb") as file:
                os.fsync(file.fileno())
    return {**said, "path": str(path), "bytes": path.stat().st_size, "files": len(named)}


def restore(path: Path, place: Path) -> JsonObject:
    """Make a data folder at `place` of a backup, check it, and freeze it; what the backup's manifest says.

    `BadInput` for a file that is no whole backup; `RuleRefused` when something is at `place` already. If
    anything is wrong, nothing is made.
    """
    place = place.expanduser().absolute()
    refuse_taken(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{place.name}.", dir=place.parent) as beside:
        draft = Path(beside) / "folder"
        draft.mkdir(mode=0o700)
        try:
            with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as archive:
                manifest = _unpacked(archive, draft, path)
        except FileNotFoundError:
            raise BadInput(f"There is no file {path}; check the path.") from None
        except (tarfile.TarError, EOFError, ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{path} is no whole backup ({error}); name another one.") from None
        except OSError as error:
            raise Unavailable(f"{path} cannot be restored: {error.strerror or error}.") from None
        folder = open_folder(draft)
        _check_and_freeze(folder, str(manifest["at"]))
        draft.rename(place)
    return {name: manifest[name] for name in ("folder", "at", "made_by")} | {"place": str(place)}


def _own_files(folder: DataFolder) -> Iterator[Path]:
    for part in (
        folder.mark_file,
        folder.settings_file,
        folder.secrets_file,
        folder.keys_dir,
        folder.policy_dir,
        folder.catalogue_dir,
        folder.workflows_dir,
        folder.accepted_dir,
    ):
        inside: Iterable[Path] = sorted(part.rglob("*")) if part.is_dir() else [part]
        yield from (found for found in inside if found.is_file() and not found.name.startswith("."))


def _ledger_file(folder: DataFolder) -> Path:
    return folder.root / folder.ledger_url.rpartition("/")[2]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _put(archive: tarfile.TarFile, name: str, file: BinaryIO | io.BytesIO) -> None:
    member = tarfile.TarInfo(name)
    member.size = file.seek(0, os.SEEK_END)
    file.seek(0)
    member.mode = 0o600
    archive.addfile(member, file)


def _unpacked(archive: tarfile.TarFile, draft: Path, path: Path) -> dict[str, Any]:
    """The manifest, once every file is there as it names it; `ValueError` and the like if not."""
    first = archive.next()
    if first is None or first.name != MANIFEST or first.size > _MANIFEST_BYTES:
        raise ValueError("no manifest")
    listed = archive.extractfile(first)
    manifest = cast("dict[str, Any]", json.loads(listed.read() if listed else b""))
    if manifest["kind"] != _KIND or manifest["v"] != BACKUP_VERSION:
        raise BadInput(f"{path} is a backup of another version of Bailiwick; restore it with that one.")
    left = dict(cast("dict[str, str]", manifest["files"]))
    while (member := archive.next()) is not None:
        parts = PurePosixPath(member.name).parts
        if not member.isfile() or ".." in parts or PurePosixPath(member.name).is_absolute():
            raise ValueError("a path that leaves the folder")
        wanted = left.pop(member.name)
        target = draft.joinpath(*parts)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = archive.extractfile(member)
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as made:
            if file is not None:
                shutil.copyfileobj(file, made, _CHUNK)
            made.flush()
            os.fsync(made.fileno())
        if _digest(target) != wanted:
            raise ValueError("another content")
    if left:
        raise ValueError("missing files")
    return manifest


def _check_and_freeze(folder: DataFolder, at: str) -> None:
    with (
        open_ledger(folder, KeyRing.load(folder.keys_dir)) as ledger,
        open_knowledge(folder.knowledge_path, ledger) as store,
    ):
        report = check_store(store, ledger)
        if not report.whole:
            raise BadInput(f"The backup does not hold together: {report.problems[0]}")
        # Folders that were empty are in no archive.
        for part in (folder.catalogue_dir, folder.workflows_dir, folder.accepted_dir, folder.logs_dir):
            part.mkdir(mode=0o700, exist_ok=True)
        ledger.transact_now(lambda tx: _freeze(tx, at))


def _freeze(tx: Transaction, at: str) -> None:
    tx.append(Entry("folder.restored", WHOLE_FOLDER, {"backup_at": at}, principal="server"))
    if read_gate(tx).generation > 0:
        reason = f"restored from the backup of {at}: approvals used since then would look unused"
        set_frozen(tx, frozen=True, by="server", reason=reason)
