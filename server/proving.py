"""Checking a proof that somebody sent: offline, with keys that are trusted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ledger.canonical import JsonObject
from ledger.clock import rfc3339
from ledger.proofs import FORMAT, InclusionProof, ProofError, read_proof
from server.auditing import keys_of
from server.errors import BadInput

_SNIFFED = 4_096


@dataclass(frozen=True, slots=True)
class Checked:
    """What a proof proves, with whose keys; `fault` says why it proves nothing."""

    origin: str
    proven: str | None
    keys: str
    fault: str | None
    entry: JsonObject | None = None

    def as_json(self) -> JsonObject:
        """For programs."""
        return {
            "origin": self.origin,
            "proven": self.proven,
            "keys": self.keys,
            "whole": self.fault is None,
            "faults": [] if self.fault is None else [self.fault],
            "entry": self.entry,
        }


def is_proof(path: Path) -> bool:
    """Whether a file calls itself a proof; `BadInput` if it cannot be read."""
    try:
        with path.open("rb") as file:
            return FORMAT.encode() in file.read(_SNIFFED)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None


def check_proof(path: Path, trusted: Path | None) -> Checked:
    """Check a proof with the keys of a file that is trusted, else with those that it names itself."""
    try:
        sent = read_proof(path.read_bytes())
    except ProofError as error:
        raise BadInput(f"{path}: {error}") from None
    keys, whose = keys_of(path, sent.head_keys, trusted)
    try:
        if isinstance(sent.proof, InclusionProof):
            head, entry = sent.proof.check(sent.origin, keys)
            what = f"entry {entry.seq} ({entry.kind}, {rfc3339(entry.at_ms)})"
            proven = f"{what} is in the log of {head.size} entries"
            return Checked(sent.origin, proven, whose, None, entry.body)
        old, new = sent.proof.check(sent.origin, keys)
    except ProofError as error:
        return Checked(sent.origin, None, whose, str(error))
    return Checked(sent.origin, f"the log of {new.size} entries extends that of {old.size}", whose, None)
