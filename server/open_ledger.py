"""Opening the ledger of a data folder with every floor's tables declared."""

from __future__ import annotations

from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from server import tables
from server.data_folder import DataFolder

EVERY_TABLE = tables.metadata
"""The tables of all floors: what the ledger is opened with."""


def open_ledger(
    folder: DataFolder, ring: KeyRing, url: str | None = None, *, deferred: bool = False
) -> Ledger:
    """The folder's ledger, or the one at `url` where the settings name another database."""
    return Ledger.open(url or folder.ledger_url, ring, origin=folder.origin, deferred=deferred)
