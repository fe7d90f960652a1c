"""The processes of a benchmark: servers on ports of their own and one loader, all ended when it ends."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from benchmarks.calls import Call, check_answer, wire_bytes
from benchmarks.loader import LoadFailed

ROOT = Path(__file__).resolve().parent.parent
"""The checkout; the programs of a benchmark are started in it."""

START_LIMIT_S = 120.0
STOP_LIMIT_S = 10.0
LOOK_AGAIN_S = 0.002
"""How often a starting server is tried, in seconds: as exactly is the time of its start known."""


class NotStarted(Exception):
    """A server of a benchmark did not come up. The message says which, and what it printed last."""


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(
    command: Sequence[str],
    port: int,
    log: Path,
    env: Mapping[str, str] | None = None,
    limit_s: float = START_LIMIT_S,
) -> Generator[subprocess.Popen[bytes]]:
    """Start a program that serves on `port`, wait until it accepts a connection, and end it at the end.

    What it prints goes to `log`. Raises NotStarted.
    """
    with log.open("ab") as said:
        process = subprocess.Popen(
            list(command), cwd=ROOT, env={**os.environ, **(env or {})}, stdout=said, stderr=said
        )
    try:
        _wait_until_it_accepts(process, port, log, limit_s)
        yield process
    finally:
        _stop(process)


def _wait_until_it_accepts(process: subprocess.Popen[bytes], port: int, log: Path, limit_s: float) -> None:
    deadline = monotonic() + limit_s
    while monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            sleep(LOOK_AGAIN_S)
        else:
            return
    last = log.read_text(errors="replace").strip()[-1_000:]
    raise NotStarted(f"`{' '.join(map(str, process.args[:6]))}` did not start: {last or 'it said nothing'}")  # type: ignore[index]


def _stop(process: subprocess.Popen[Any]) -> None:
    process.terminate()
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_LIMIT_S)


@dataclass(frozen=True, slots=True)
class Answered:
    """How long each call took in milliseconds, and its result."""

    timings_ms: list[float]
    results: list[dict[str, Any]]


class Loader:
    """The loading process, and the only way by which timed requests are sent."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._numbers = 0

    def send(self, port: int, clients: Sequence[Sequence[Call]]) -> Answered:
        """Send every client's calls, all clients at once; the answers are in the calls' order.

        Raises LoadFailed when one has no answer, and WrongAnswer when one is not answered as it expects.
        """
        requests: list[list[str]] = []
        for calls in clients:
            requests.append([self._request(call, port) for call in calls])
        assert self._process.stdin is not None, "the loader was started with pipes"
        assert self._process.stdout is not None, "the loader was started with pipes"
        print(json.dumps({"port": port, "clients": requests}), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise LoadFailed("the loading process ended")
        answer = json.loads(line)
        if "failed" in answer:
            raise LoadFailed(answer["failed"])
        timings: list[float] = []
        results: list[dict[str, Any]] = []
        for calls, answered in zip(clients, answer["clients"], strict=True):
            timings += answered["timings_ms"]
            results += [check_answer(*pair) for pair in zip(calls, answered["bodies"], strict=True)]
        return Answered(timings, results)

    def _request(self, call: Call, port: int) -> str:
        self._numbers += 1
        return wire_bytes(call, self._numbers, port).decode("latin-1")


def resident_mib(process: subprocess.Popen[Any]) -> float:
    """The memory that a process has in use now, in MiB, as Linux tells it."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


@contextmanager
def loader() -> Generator[Loader]:
    """Start the loading process, and end it at the end."""
    command = [sys.executable, "-m", "benchmarks.loader"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Loader(process)
        finally:
            _stop(process)
