"""Keeping the whole of it safe: a backup while the server goes on."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from pydantic import Field

from ledger.canonical import JsonObject
from policies.principals import Person
from server.backup import back_up
from server.operations.operation import Arguments, Operation, OperationDesk


class Backup(Arguments):
    """The file on this machine that the backup is written to."""

    path: str = Field(min_length=1, max_length=4_000)


def _backup(desk: OperationDesk, _person: Person, given: Backup) -> JsonObject:
    return back_up(desk.folder, desk.ledger, desk.store, Path(given.path), version("bailiwick"))


OPERATIONS = (Operation("backup", Backup, "admin", _backup, "store"),)
