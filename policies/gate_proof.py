"""At a start: the rows that the gate believes without a signature are held to the log.

Who the second admin is, whose key is the root, what is frozen and what is in force stand in tables, because
they are asked on every call. Here they are proven: the entries that made them so are replayed with the rules
of the audit, each held to the newest signed head.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger.entries import StoredEntry, decode
from ledger.errors import LedgerDamaged
from ledger.proving import head_of_size, prove_inclusion
from ledger.transaction import Reading
from policies.audit_people import PEOPLE_TOLD_BY, People
from policies.errors import PolicyError
from policies.gate_replay import GateReplay
from policies.gate_state import read_gate
from policies.tables import ENTRIES_OF_THE_GATE, second_admin, trust_root

_SIGNED_FOR: Final = PEOPLE_TOLD_BY | {"gate.frozen"}


class GateUnproven(PolicyError):
    """The tables say something of the gate that the log does not."""


def prove_gate(reading: Reading) -> None:
    """Raise `GateUnproven` unless the gate's state, the root and the second admin are what the log says.

    `LedgerDamaged` if an entry is not the one that the newest head signs.
    """
    people, replay = People(), GateReplay()
    faults: list[str] = []
    for entry in _told(reading):
        if entry.kind in PEOPLE_TOLD_BY:
            faults += people.take(entry, whole=True)
        replay.take(entry)
    faults += replay.differences(read_gate(reading))
    root, second = reading.one(trust_root.select()), reading.one(second_admin.select())
    if (None if root is None else root.kid) != people.root:
        faults.append("The root key in the table is not the one that the log tells of.")
    if (None if second is None else second.seq) != people.second:
        faults.append(f"The log says that entry {people.second} enrolled the second admin, the table not.")
    if faults:
        raise GateUnproven(
            f"The gate's state cannot be trusted: {faults[0]} Run `bailiwick audit verify`, and restore the "
            "newest backup if the tables were changed."
        )


def _told(reading: Reading) -> Iterator[StoredEntry]:
    """The entries that tell of the gate; those that give power, each proven by the newest head."""
    head = None
    for row in reading.all(ENTRIES_OF_THE_GATE):
        try:
            entry = decode(bytes(row.entry))
        except ValueError:
            raise LedgerDamaged(f"Entry {row.seq} cannot be read; run `bailiwick audit verify`.") from None
        if entry.kind in _SIGNED_FOR:
            # Its signature was checked when the ledger was opened.
            head = head or head_of_size(reading, None)
            prove_inclusion(reading, row.seq, head)
        yield entry
