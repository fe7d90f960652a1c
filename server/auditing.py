"""Proving the log: nothing in it was changed, and no effect stands in it without its approval.

It needs only what the log is made of and public keys, so anybody may do it, on the folder or on an export
elsewhere. On the folder the tables of state are held to the log too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ledger.audit import stored_ledger, verify_stored, with_witnessed
from ledger.canonical import JsonObject, JsonValue
from ledger.entries import StoredEntry
from ledger.export import ExportError, open_export, read_export
from ledger.keyring import KeyRing
from ledger.transaction import Reading
from ledger.verify import LogReport, Signatures, verify_log
from policies.audit_rules import Replay
from policies.gate_replay import GateReplay
from policies.gate_state import read_gate
from policies.tables import approval_requests
from server.data_folder import DataFolder
from server.errors import BadInput
from server.kept_heads import heads_known_here, kept_heads
from server.settings import Settings
from tool_scopes.tables import executions


@dataclass(frozen=True, slots=True)
class Audit:
    """What was proven, with whose keys, and everything that was found wrong, as sentences."""

    origin: str
    entries: int
    heads: int
    witnessed: int
    keys: str
    faults: tuple[str, ...]

    def as_json(self) -> JsonObject:
        """For programs."""
        return {
            "origin": self.origin,
            "entries": self.entries,
            "heads": self.heads,
            "witnessed": self.witnessed,
            "keys": self.keys,
            "whole": not self.faults,
            "faults": list[JsonValue](self.faults),
        }


@dataclass(slots=True)
class _Completeness:
    """Replays entries while they are verified."""

    replay: Replay = field(default_factory=Replay)
    gate: GateReplay = field(default_factory=GateReplay)
    faults: list[str] = field(default_factory=list[str])

    def take(self, entry: StoredEntry) -> None:
        self.faults.extend(self.replay.take(entry))
        self.gate.take(entry)

    def found(self, report: LogReport) -> tuple[str, ...]:
        """What is wrong. What was changed proves nothing, so then only that is told."""
        if report.fault is not None:
            return (report.fault.sentence,)
        return (*self.faults, *self.replay.unfinished())


def audit_folder(
    folder: DataFolder, settings: Settings, witnesses: Sequence[str], signatures: Signatures
) -> Audit:
    """Audit the log of a data folder, also while a server works on it, and against all heads known of it."""
    keys = KeyRing.load(folder.keys_dir).public_keys("head")
    kept = _kept(folder.origin, witnesses, settings.witness_key)
    kept += heads_known_here(folder, settings)
    complete = _Completeness()
    with stored_ledger(settings.ledger_url or folder.ledger_url) as reading:
        report = verify_stored(
            reading, keys, origin=folder.origin, witnessed=kept, signatures=signatures, seen=complete.take
        )
        faults = complete.found(report)
        if report.whole:
            faults += tuple(_state_faults(reading, complete.replay))
            faults += tuple(complete.gate.differences(read_gate(reading)))
    whose = "those of the data folder's own key ring"
    return Audit(folder.origin, report.entries, report.heads, len(kept), whose, faults)


def audit_export(
    path: Path,
    trusted: Path | None,
    witnesses: Sequence[str],
    witness_key: str | None,
    signatures: Signatures,
) -> Audit:
    """Audit an exported log, with the keys of a file that is trusted, else those that the export itself
    names.
    """
    try:
        exported = open_export(path)
        keys, whose = keys_of(path, exported.head_keys, trusted)
        kept = _kept(exported.origin, witnesses, witness_key)
        complete = _Completeness()
        report = verify_log(
            exported.lines,
            with_witnessed(exported.heads, kept),
            keys,
            origin=exported.origin,
            signatures=signatures,
            seen=complete.take,
        )
    except (OSError, UnicodeDecodeError, ExportError) as error:
        raise _unreadable(path, error) from None
    found = complete.found(report)
    return Audit(exported.origin, report.entries, report.heads, len(kept), whose, found)


def keys_of(path: Path, named: dict[str, bytes], trusted: Path | None) -> tuple[dict[str, bytes], str]:
    """The keys to verify with, and in words whose they are."""
    if trusted is None:
        return named, "those that the export itself names: compare them with keys that you trust"
    try:
        with trusted.open(encoding="utf-8") as lines:
            return read_export([lines.readline()]).head_keys, f"those of {trusted}"
    except (OSError, UnicodeDecodeError, ExportError) as error:
        raise _unreadable(trusted, error) from None


def _kept(origin: str, witnesses: Sequence[str], witness_key: str | None) -> list[str]:
    return [head for source in witnesses for head in kept_heads(source, origin, witness_key)]


def _unreadable(path: Path, error: Exception) -> BadInput:
    match error:
        case UnicodeDecodeError():
            return BadInput(f"{path} is no text, so it is no exported log; name another file.")
        case OSError():
            return BadInput(f"{path} cannot be read: {error.strerror}.")
        case _:
            return BadInput(f"{path}: {error}")


def _state_faults(reading: Reading, replay: Replay) -> list[str]:
    """Where the tables say otherwise than the log about what was executed, and by which approval."""
    told = {name: replay.outcomes.get(name, "executing") for name in replay.begun}
    stored = {row.id: row.state for row in reading.all(executions.select())}
    faults = [
        f"The log says that {name} is {told.get(name, 'unknown')}, the table of executions that it is "
        f"{stored.get(name, 'unknown')}."
        for name in sorted(told.keys() | stored.keys())
        if told.get(name) != stored.get(name)
    ]
    spent = {name: request.execution for name, request in replay.requests.items() if request.execution}
    held = {row.id: row.execution for row in reading.all(approval_requests.select()) if row.execution}
    faults += [
        f"The log says that {name} was spent on {spent.get(name, 'nothing')}, the table of requests on "
        f"{held.get(name, 'nothing')}."
        for name in sorted(spent.keys() | held.keys())
        if spent.get(name) != held.get(name)
    ]
    return faults
