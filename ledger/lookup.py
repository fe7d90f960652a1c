"""Looking at one entry of the log from inside a transaction, for floors that prove something by it."""

from functools import lru_cache

from ledger.entries import StoredEntry, decode
from ledger.statements import fixed, param
from ledger.tables import log
from ledger.transaction import Reading

_AT = fixed(log.select().with_only_columns(log.c.entry).where(log.c.seq == param("number")))


def entry_at(reading: Reading, seq: int) -> StoredEntry | None:
    """The entry with this number; None if there is none, or if what stands there is something else."""
    row = reading.one(_AT, {"number": seq})
    found = None if row is None else _decoded(bytes(row.entry))
    return found if found is not None and found.seq == seq else None


def raw_entry_at(reading: Reading, seq: int) -> bytes | None:
    """The bytes of that entry, for whoever hands them on as a proof."""
    row = reading.one(_AT, {"number": seq})
    return None if row is None else bytes(row.entry)


@lru_cache(maxsize=4096)
def _decoded(raw: bytes) -> StoredEntry | None:
    """What these bytes say, remembered by the bytes themselves: whoever changes a row gets another answer."""
    try:
        return decode(raw)
    except ValueError:
        return None
