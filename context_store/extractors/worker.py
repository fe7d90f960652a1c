"""The worker's side: a process that waits for jobs and forks another one for each, which gets the limits.

So a document that crashes, loops or swells takes down nothing but its own process, and the libraries are
imported once for many documents. It ends when its input does, or when nothing came for a while.
"""

import contextlib
import gc
import importlib
import json
import os
import resource
import select
import signal
import sys
import time
from typing import BinaryIO, Final, NoReturn

from context_store.extractors.contract import (
    MAX_ANSWER,
    MAX_TEXT,
    Job,
    Reading,
    Unreadable,
    read_job,
    refusal,
)

IDLE_S: Final = 30.0
"""How long a worker waits for another job before it ends, in seconds."""

_CHUNK: Final = 65_536


def main() -> None:
    """Serve jobs from standard input until it ends."""
    jobs, answers = sys.stdin.buffer, sys.stdout.buffer
    # What a library prints must not stand between the answers.
    sys.stdout = sys.stderr
    while _is_ready(jobs):
        line = jobs.readline()
        if not line:
            return
        job = read_job(line)
        raw = jobs.read(job.size)
        if len(raw) < job.size:
            return
        with contextlib.suppress(ImportError):
            importlib.import_module(f"context_store.extractors.{job.kind}_reader")
        answer = _in_a_fork(job, raw)
        answers.write(json.dumps({"size": len(answer)}).encode() + b"\n" + answer)
        answers.flush()


def _is_ready(jobs: BinaryIO) -> bool:
    return bool(select.select([jobs], [], [], IDLE_S)[0])


def _in_a_fork(job: Job, raw: bytes) -> bytes:
    incoming, outgoing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(incoming)
        _read_and_end(job, raw, outgoing)
    os.close(outgoing)
    answer, trouble = _gather(incoming, time.monotonic() + job.limits.wall_s)
    os.close(incoming)
    if trouble is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return refusal(trouble) if trouble is not None else answer or refusal(_why_ended(job, status))


def _gather(incoming: int, deadline: float) -> tuple[bytes, str | None]:
    """All that comes, or why no more is taken."""
    answer = bytearray()
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([incoming], [], [], left)[0]:
            return b"", "takes too long to read; divide it, or save it as Markdown"
        chunk = os.read(incoming, _CHUNK)
        if not chunk:
            return bytes(answer), None
        answer += chunk
        if len(answer) > MAX_ANSWER:
            return b"", _too_long()


def _why_ended(job: Job, status: int) -> str:
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL):
        return f"takes more than {job.limits.cpu_s} seconds to read; divide it, or save it as Markdown"
    return "is damaged so badly that its reader crashed; save it anew, or as Markdown"


def _read_and_end(job: Job, raw: bytes, outgoing: int) -> NoReturn:
    """Read the document under the limits, write the answer, and end without any of Python's ceremony."""
    try:
        # Its own input stays out of reach: what it may read is the document in its memory.
        os.close(0)
        resource.setrlimit(resource.RLIMIT_CPU, (job.limits.cpu_s, job.limits.cpu_s))
        resource.setrlimit(resource.RLIMIT_AS, (job.limits.memory, job.limits.memory))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        answer = _answer(job, raw)
    except MemoryError:
        gc.collect()
        answer = refusal("needs too much memory to read; divide it, or save it as Markdown")
    except RecursionError:
        answer = refusal("is nested too deeply to be read; save it anew, or as Markdown")
    except Unreadable as error:
        answer = refusal(str(error))
    except Exception as error:  # noqa: BLE001 - whatever a library makes of a bad file is said in one sentence
        answer = refusal(f"is damaged ({type(error).__name__}); open it in its program, and save it anew")
    with contextlib.suppress(OSError):
        while answer:
            answer = answer[os.write(outgoing, answer) :]
    os._exit(0)


def _answer(job: Job, raw: bytes) -> bytes:
    reader = importlib.import_module(f"context_store.extractors.{job.kind}_reader")
    found: Reading = reader.read(raw)
    if sum(len(part.encode("utf-8", "surrogatepass")) for part in found.parts) > MAX_TEXT:
        raise Unreadable(_too_long())
    return found.as_bytes()


def _too_long() -> str:
    return f"yields more than {MAX_TEXT // 1024 // 1024} MiB of text; divide it, and add the parts"


if __name__ == "__main__":
    main()
