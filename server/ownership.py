"""Whose a data folder is just now: one process owns it at a time, and says where it takes operations.

The lock is the operating system's, so it ends with its process, however that ends.
`owner.json` only tells who holds it.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, cast

from ledger.clock import rfc3339, system_now_ms
from server.data_folder import DataFolder, write_private
from server.errors import Unavailable

_RETRY_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that owns a folder. `url` is where it takes operations; None for a command at work."""

    pid: int
    url: str | None
    instance: str
    started: str


class FolderOwned(Unavailable):
    """Another process owns the folder."""

    def __init__(self, folder: DataFolder, owner: Owner | None) -> None:
        whose = "another process" if owner is None else f"process {owner.pid}"
        at = f" at {owner.url}" if owner is not None and owner.url else ""
        super().__init__(
            f"The data folder {folder.root} is owned by {whose}{at}; go through that one, or stop it first."
        )
        self.owner = owner


@contextmanager
def own(
    folder: DataFolder, url: str | None = None, *, instance: str = "", wait_s: float = 0.0
) -> Generator[None]:
    """Own the folder for the length of the block. `FolderOwned` when somebody else does, after `wait_s`.

    `url` is where the owner takes operations; a command that only does one thing has none, and is waited for.
    """
    descriptor = os.open(folder.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(descriptor, folder, time.monotonic() + wait_s)
        owner = {
            "pid": os.getpid(),
            "url": url,
            "instance": instance,
            "started": rfc3339(system_now_ms()),
        }
        write_private(folder.owner_file, json.dumps(owner).encode() + b"\n")
        try:
            yield
        finally:
            folder.owner_file.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: DataFolder, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            owner = _read_owner(folder)
            settled = owner is not None and owner.url is not None
            if settled or time.monotonic() >= deadline:
                raise FolderOwned(folder, owner) from None
            time.sleep(_RETRY_S)


def _read_owner(folder: DataFolder) -> Owner | None:
    try:
        value = cast("dict[str, object]", json.loads(folder.owner_file.read_bytes()))
        pid, url, instance, started = (value[name] for name in ("pid", "url", "instance", "started"))
    except (OSError, ValueError, TypeError, KeyError):
        return None  # written a moment from now, or removed a moment ago
    if not (isinstance(pid, int) and isinstance(instance, str) and isinstance(started, str)):
        return None
    return Owner(pid, url if isinstance(url, str) else None, instance, started)
