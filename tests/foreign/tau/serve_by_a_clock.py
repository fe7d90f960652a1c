"""`bailiwick serve`, by a clock that stands ahead of the machine's by as many milliseconds as a file says.

    python -m tests.foreign.tau.serve_by_a_clock FILE serve --data DIR …

It is the same command in the same kind of process; only its clock is another one, so that an approval can
expire without anybody waiting for it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ledger.clock import system_now_ms
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from server import app, assembly, cli, identity_check
from server.data_folder import DataFolder
from server.operations import operation


def main() -> None:
    told = Path(sys.argv.pop(1))

    def now_ms() -> int:
        return system_now_ms() + int(told.read_text())

    def open_ledger(
        folder: DataFolder, ring: KeyRing, url: str | None = None, *, deferred: bool = False
    ) -> Ledger:
        assert not deferred
        return Ledger.open(url or folder.ledger_url, ring, origin=folder.origin, clock=now_ms)

    assembly.open_ledger = open_ledger
    for module in (app, identity_check, operation):
        vars(module)["system_now_ms"] = now_ms
    cli.main()


if __name__ == "__main__":
    main()
