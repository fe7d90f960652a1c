"""A clock that tests move."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.clock import system_now_ms
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from server.data_folder import DataFolder


@dataclass(slots=True)
class Clock:
    """The machine's clock, put forward by `ahead_ms`."""

    ahead_ms: int = 0

    def now_ms(self) -> int:
        """Milliseconds since the epoch, as this clock has it."""
        return system_now_ms() + self.ahead_ms

    def open_ledger(
        self, folder: DataFolder, ring: KeyRing, url: str | None = None, *, deferred: bool = False
    ) -> Ledger:
        """The folder's ledger, by this clock."""
        at = url or folder.ledger_url
        return Ledger.open(at, ring, origin=folder.origin, clock=self.now_ms, deferred=deferred)
