"""The server's side: one worker process for this process, started when the first document needs it.

It gets no environment and no open files of ours, so no secret is within its reach but through the file
system. It reads one document at a time; who comes meanwhile waits.
"""

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from context_store.errors import ImportRefused, StoreUnavailable
from context_store.extractors.contract import (
    MAX_ANSWER,
    Form,
    Job,
    Kind,
    Limits,
    Reading,
    Unreadable,
)

_COMMAND: Final = (sys.executable, "-I", "-m", "context_store.extractors.worker")
_SLACK_S: Final = 15.0
"""How much longer than the document's own limit its worker may take, with starting and importing."""

_worker: subprocess.Popen[bytes] | None = None
_turn = threading.Lock()


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    refused: str | None = None
    form: Form = "markdown"
    parts: tuple[str, ...] = ()
    title: str | None = None

    def reading(self) -> Reading:
        if self.refused is not None:
            raise Unreadable(self.refused)
        return Reading(self.form, self.parts, self.title)


class _Gone(Exception):
    """The worker's process ended."""


def read_apart(kind: Kind, raw: bytes, name: str, limits: Limits | None = None) -> Reading:
    """What a document says, read in a process of its own.

    Raises `ImportRefused` when it cannot be read within the limits, and `StoreUnavailable` when no process
    can be started.
    """
    job = Job(kind, len(raw), limits or Limits())
    with _turn:
        for _ in range(2):
            # A worker that had nothing to do ends by itself, perhaps just now: then a new one gets the job.
            with contextlib.suppress(_Gone):
                return _asked(job, raw, name)
    raise ImportRefused(f"{name} cannot be read: the process that should read it ended; save it anew.")


def end_worker() -> None:
    """End the worker's process, if there is one."""
    with _turn:
        _end()


def _asked(job: Job, raw: bytes, name: str) -> Reading:
    process = _running()
    try:
        answer = _exchange(process, job, raw)
    except TimeoutError:
        _end()
        raise ImportRefused(f"{name} takes too long to read; divide it, or save it as Markdown.") from None
    except (OSError, ValueError) as error:
        _end()
        raise _Gone from error
    try:
        return _Answer.model_validate_json(answer).reading()
    except ValidationError:
        raise ImportRefused(f"{name} made its reader answer nonsense; save it as Markdown.") from None
    except Unreadable as error:
        raise ImportRefused(f"{name} {error}.") from None


def _running() -> subprocess.Popen[bytes]:
    global _worker  # noqa: PLW0603 - one worker for each process is the point
    if _worker is None or _worker.poll() is not None:
        _end()
        try:
            _worker = subprocess.Popen(
                _COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"},
                cwd="/",
            )
        except OSError as error:
            raise StoreUnavailable(
                f"No process can be started to read documents ({error.strerror}); see what this machine"
                " runs short of."
            ) from error
    return _worker


def _end() -> None:
    global _worker  # noqa: PLW0603 - see above
    if _worker is None:
        return
    _worker.kill()
    _worker.wait()
    for pipe in (_worker.stdin, _worker.stdout):
        with contextlib.suppress(OSError):
            if pipe is not None:
                pipe.close()
    _worker = None


def _exchange(process: subprocess.Popen[bytes], job: Job, raw: bytes) -> bytes:
    assert process.stdin is not None, "the worker was started with pipes"
    assert process.stdout is not None, "the worker was started with pipes"
    process.stdin.write(job.line())
    process.stdin.write(raw)
    process.stdin.flush()
    deadline = time.monotonic() + job.limits.wall_s + _SLACK_S
    received = bytearray()
    wanted: int | None = None
    while wanted is None or len(received) < wanted:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
            raise TimeoutError
        chunk = os.read(process.stdout.fileno(), 65_536)
        if not chunk:
            raise _Gone
        received += chunk
        if wanted is None and b"\n" in received:
            line, _, rest = bytes(received).partition(b"\n")
            wanted = int(json.loads(line)["size"])
            if not 0 <= wanted <= MAX_ANSWER:
                raise ValueError("the worker announced an impossible answer")
            received = bytearray(rest)
    return bytes(received)
