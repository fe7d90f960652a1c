"""A witness in a file: it keeps the newest head, and follows nothing but an extension of it.

It lies where a rolled-back database does not reach: on another disk, or a share. What it cannot do is to
catch the server's own account, which can write the file as well.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from ledger.errors import LedgerUnavailable
from ledger.heads import HeadError, SignedHead, parse_head
from ledger.witness import Reply, Submission, judge_submission, no_answer


class FileWitness:
    """Keeps the newest head of one log in a file: one line of JSON, `{"head": note}`, as in an export."""

    def __init__(self, path: Path, keys: Callable[[], Mapping[str, bytes]]) -> None:
        """`keys` gives the public keys that may sign the log's heads just now: they may change."""
        self._path = path
        self._keys = keys

    def submit(self, submission: Submission) -> Reply:
        """Keep the head if it extends what is kept."""
        try:
            with self._path.with_name(self._path.name + ".lock").open("wb") as lock:
                # Checking and keeping must be one act, also between processes.
                fcntl.flock(lock, fcntl.LOCK_EX)
                verdict = judge_submission(read_kept(self._path), submission, self._keys())
                if isinstance(verdict, Reply):
                    return verdict
                keep(self._path, verdict)
                return Reply(200)
        except OSError as error:
            raise no_answer(str(self._path), error.strerror or type(error).__name__) from error

    def close(self) -> None:
        """Nothing is open."""


def read_kept(path: Path) -> SignedHead | None:
    """The head that a file keeps; None if there is none. `LedgerUnavailable` if it holds something else."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        return parse_head(json.loads(text)["head"])
    except (HeadError, ValueError, TypeError, KeyError) as error:
        raise LedgerUnavailable(
            f"{path} keeps no head of a log; restore it, or look at the log before you remove it."
        ) from error


def keep(path: Path, head: SignedHead) -> None:
    """Put a head in the place of the one before, whole or not at all, and on disk when this returns."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("x", encoding="utf-8") as file:
            file.write(json.dumps({"head": head.note}, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
