"""Proving the log: nothing in it was changed, and no effect stands in it without its approval.

It needs only what the log is made of and public keys, so anybody may do it, on the folder or on an export
elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ledger.audit import stored_lines, verify_stored
from ledger.canonical import JsonObject, JsonValue
from ledger.entries import StoredEntry, decode
from ledger.errors import LedgerDamaged
from ledger.export import ExportedLog, ExportError, read_export
from ledger.keyring import KeyRing
from ledger.transaction import Reading
from ledger.verify import LogReport, verify_log
from policies.audit_rules import check_complete
from server.data_folder import DataFolder
from server.errors import BadInput
from server.open_ledger import open_ledger
from server.settings import Settings


@dataclass(frozen=True, slots=True)
class Audit:
    """What was proven, with whose keys, and everything that was found wrong, as sentences."""

    origin: str
    entries: int
    heads: int
    keys: str
    faults: tuple[str, ...]

    def as_json(self) -> JsonObject:
        """For programs."""
        return {
            "origin": self.origin,
            "entries": self.entries,
            "heads": self.heads,
            "keys": self.keys,
            "whole": not self.faults,
            "faults": list[JsonValue](self.faults),
        }


def audit_folder(folder: DataFolder, settings: Settings) -> Audit:
    """Audit the log of a data folder, also while a server works on it."""
    ring = KeyRing.load(folder.keys_dir)
    keys = ring.public_keys("head")
    whose = "those of the data folder's own key ring"
    try:
        with open_ledger(folder, ring, settings.ledger_url) as ledger:

            def look(reading: Reading) -> tuple[LogReport, tuple[str, ...]]:
                report = verify_stored(reading, keys, origin=folder.origin)
                # What was changed proves nothing, so what follows from it is not looked at.
                lines = stored_lines(reading) if report.whole else ()
                return report, _incomplete(decode(line.raw) for line in lines)

            report, incomplete = ledger.read(look)
    except LedgerDamaged as error:
        return Audit(folder.origin, 0, 0, whose, (str(error),))
    return _audit(folder.origin, report, incomplete, whose)


def audit_export(path: Path, trusted: Path | None) -> Audit:
    """Audit an exported log, with the keys of a file that is trusted, else those that the export itself
    names.
    """
    exported = _read(path)
    keys, whose = (
        exported.head_keys,
        "those that the export itself names: compare them with keys that you trust",
    )
    if trusted is not None:
        keys, whose = _read(trusted).head_keys, f"those of {trusted}"
    report = verify_log(exported.lines, exported.heads, keys, origin=exported.origin)
    incomplete = _incomplete(decode(line.raw) for line in exported.lines) if report.whole else ()
    return _audit(exported.origin, report, incomplete, whose)


def _read(path: Path) -> ExportedLog:
    try:
        with path.open(encoding="utf-8") as lines:
            return read_export(lines)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is no text, so it is no exported log; name another file.") from None
    except ExportError as error:
        raise BadInput(f"{path}: {error}") from None


def _incomplete(entries: Iterable[StoredEntry]) -> tuple[str, ...]:
    return tuple(check_complete(entries))


def _audit(origin: str, report: LogReport, incomplete: tuple[str, ...], whose: str) -> Audit:
    faults = incomplete if report.fault is None else (report.fault.sentence,)
    return Audit(origin, report.entries, report.heads, whose, faults)
