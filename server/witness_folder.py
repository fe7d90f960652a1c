"""What a witness keeps: its own key, the logs that it knows with their keys, and the newest head of each.

witness.json   its name and private key, and for each log the public keys that it trusts
heads/         one file for each log
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.heads import HeadError, SignedHead, check_origin, parse_head, read_vkey
from ledger.keyring import key_id
from ledger.witness import Reply, Submission, cosign, judge_submission, write_witness_key
from ledger.witness_file import keep, read_kept
from server.data_folder import is_loose, write_private
from server.errors import BadInput, RuleRefused, Unavailable

_FILE: Final = "witness.json"


@dataclass(slots=True)
class WitnessFolder:
    """One witness. For any thread of one process; `server.cli.witness` lets only one process serve it."""

    root: Path
    name: str
    key: Ed25519PrivateKey = field(repr=False)
    logs: dict[str, list[str]]
    """For each log its verifier keys, as text."""
    _keeping: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def verifier_key(self) -> str:
        """The public half in one line, for the setting `witness_key`."""
        return write_witness_key(self.name, self.key.public_key().public_bytes_raw())

    def trust(self, text: str) -> str:
        """Accept heads that this key (a vkey) signs, besides those known; the log's name."""
        try:
            log = read_vkey(text)
        except (HeadError, ValueError) as error:
            raise BadInput(f"{error} `bailiwick key ring` shows a log's.") from None
        known = self.logs.setdefault(log.name, [])
        if text.strip() not in known:
            known.append(text.strip())
            self.save()
        return log.name

    def submit(self, submission: Submission, now_s: int) -> Reply:
        """Judge what was submitted; keep and confirm it if it only extends what was seen."""
        origin = parse_head(submission.note).origin
        if origin not in self.logs:
            return Reply(404)
        with self._keeping:
            verdict = judge_submission(self.newest(origin), submission, self._keys(origin))
            if isinstance(verdict, Reply):
                return verdict
            keep(self._head_file(origin), verdict)
        return Reply(200, cosign(verdict.note, self.name, self.key, now_s))

    def newest(self, origin: str) -> SignedHead | None:
        """The newest head of a log."""
        return read_kept(self._head_file(origin))

    def save(self) -> None:
        """Write the file that names the key and the logs."""
        private = base64.b64encode(self.key.private_bytes_raw()).decode()
        value = {"v": 1, "name": self.name, "private": private, "logs": self.logs}
        write_private(self.root / _FILE, json.dumps(value, indent=1).encode() + b"\n")

    def _keys(self, origin: str) -> Mapping[str, bytes]:
        return {key_id(key): key for key in (read_vkey(text).public_key for text in self.logs[origin])}

    def _head_file(self, origin: str) -> Path:
        # A log's name may hold what a file's name may not.
        return self.root / "heads" / f"{hashlib.sha256(origin.encode()).hexdigest()[:32]}.json"


def create_witness(root: Path, name: str) -> WitnessFolder:
    """Make a witness's folder; `RuleRefused` if something is there already."""
    try:
        check_origin(name)
    except ValueError as error:
        raise BadInput(f"A witness's name is like a host's, without spaces: {error}") from None
    place = root.expanduser().absolute()
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise RuleRefused(f"{place} is not empty; name a new folder for the witness.")
    (place / "heads").mkdir(mode=0o700, parents=True)
    place.chmod(0o700)
    made = WitnessFolder(place, name, Ed25519PrivateKey.generate(), {})
    made.save()
    return made


def open_witness(root: Path) -> WitnessFolder:
    """The witness in a folder; `BadInput` if there is none."""
    place = root.expanduser().absolute()
    try:
        if is_loose((place / _FILE).stat()):
            raise Unavailable(f"Other accounts can read {place / _FILE}; run `chmod 600 {place / _FILE}`.")
        value = cast("dict[str, object]", json.loads((place / _FILE).read_bytes()))
        key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(cast("str", value["private"])))
        logs = cast("dict[str, list[str]]", value["logs"])
        return WitnessFolder(place, str(value["name"]), key, logs)
    except OSError:
        raise BadInput(f"{place} is no witness; make one with `bailiwick witness init`.") from None
    except (ValueError, TypeError, KeyError):
        raise BadInput(f"{place / _FILE} is damaged; restore it from a backup.") from None


def origins(witness: WitnessFolder) -> list[tuple[str, int, str]]:
    """Every log that is known: its name, the size of the newest head, and its keys."""
    found: list[tuple[str, int, str]] = []
    for origin, keys in sorted(witness.logs.items()):
        head = witness.newest(origin)
        found.append((origin, head.size if head else 0, " ".join(keys)))
    return found
