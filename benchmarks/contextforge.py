"""A governed call beside `mcp-contextforge-gateway` in front of the same tool, which it reaches over HTTP.

That gateway lives in an environment of its own, because it pins other versions of what we use; its folder is
named in BAILIWICK_BENCH_CONTEXTFORGE. Its rate limits, UI and plugins are off, and it answers in JSON.
It speaks the legacy era without sessions. It governs no call: it is measured as what else stands between an
agent and a tool, and both write each item once.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.request import Request, urlopen

from benchmarks.calls import Call, WrongAnswer
from benchmarks.governed import AMOUNT, Asked, Governed, prepare, served
from benchmarks.governed_call import CALLS, TURN
from benchmarks.processes import Loader, NotStarted, free_port, loader, server
from benchmarks.registry import Extent
from benchmarks.rounds import Rounds, in_turn
from benchmarks.rows import Row
from benchmarks.upstream import READ, WRITE

ENVIRONMENT = "BAILIWICK_BENCH_CONTEXTFORGE"
LEGACY = "2025-11-25"
START_LIMIT_S = 240.0
PEER_NAME = "mcp-contextforge-gateway"
_ADMIN = "admin@example.com"

Side = Literal["ours", "contextforge"]
Timed = tuple[str, int, Side]


@dataclass(frozen=True, slots=True)
class Gateway:
    """The running gateway, and whom its calls are made as."""

    port: int
    token: str

    def read(self, item: str) -> Call:
        """A read through the gateway."""
        return self._call(READ, {"item": item}, item)

    def write(self, item: str) -> Call:
        """A write through the gateway, which nobody approves."""
        return self._call(WRITE, {"item": item, "amount": AMOUNT}, item)

    def _call(self, tool: str, arguments: Mapping[str, Any], item: str) -> Call:
        expects = {"structuredContent.item": item, "isError": False}
        name = f"items-{tool.replace('_', '-')}"
        return Call(name, arguments, expects, "/mcp/", self.token, protocol=LEGACY)


def measure(extent: Extent) -> list[Row]:
    """Reads and approved writes at every number of clients. One round before the first is not counted."""
    named = os.environ.get(ENVIRONMENT)
    if named is None:
        print(
            f"{PEER_NAME} is not measured: install it in an environment of its own and name that folder in "
            f"{ENVIRONMENT}.",
            file=sys.stderr,
        )
        return []
    timings: Rounds[Timed] = Rounds()
    with tempfile.TemporaryDirectory(prefix="bailiwick-bench-") as place, ExitStack() as running:
        folder = Path(place)
        prepared, journal = prepare(folder / "ours"), folder / "bare.journal"
        gateway = running.enter_context(_gateway(Path(named), folder, journal))
        load = running.enter_context(loader())
        governed = running.enter_context(served(prepared, folder / "governed.log"))
        items: list[str] = []
        for number in range(extent.rounds + 1):
            items += _play(number, load, governed, gateway, Rounds() if number == 0 else timings)
        for name, path in (("ours", prepared.journal), (PEER_NAME, journal)):
            _check_journal(name, path, items)
    return _rows(timings)


def _play(
    number: int, load: Loader, governed: Governed, gateway: Gateway, timings: Rounds[Timed]
) -> list[str]:
    """One round; the items that were written in it."""
    written: list[str] = []
    for clients, count in CALLS.items():
        items = [f"r{number}-{clients}-{place}" for place in range(count)]
        runs = governed.open_runs(load, items)
        reads = [governed.read(*pair) for pair in zip(runs, items, strict=True)]
        ports = {"ours": governed.port, "contextforge": gateway.port}
        _compare("read", number, clients, load, ports, (reads, [*map(gateway.read, items)]), timings)
        governed.go_on_to_write(load, runs)
        refused = [governed.refused_write(*pair) for pair in zip(runs, items, strict=True)]
        asked = [Asked.in_result(result) for result in load.send(governed.port, [refused]).results]
        governed.judge(asked, "approve")
        writes = [governed.approved_write(*each) for each in zip(runs, items, asked, strict=True)]
        both = (writes, [*map(gateway.write, items)])
        _compare("approved write", number, clients, load, ports, both, timings)
        written += items
    return written


def _compare(
    kind: str,
    number: int,
    clients: int,
    load: Loader,
    ports: Mapping[str, int],
    calls: tuple[Sequence[Call], Sequence[Call]],
    timings: Rounds[Timed],
) -> None:
    """Let both sides take turns until all is sent."""
    of: dict[Side, Sequence[Call]] = {"ours": calls[0], "contextforge": calls[1]}
    spent: dict[Side, list[float]] = {side: [] for side in of}
    for turn, first in enumerate(range(0, len(calls[0]), clients * TURN)):
        for side in in_turn(list(of), number + turn):
            now = of[side][first : first + clients * TURN]
            each = len(now) // clients
            split = [now[begin : begin + each] for begin in range(0, len(now), each)]
            spent[side] += load.send(ports[side], split).timings_ms
    for side, timings_ms in spent.items():
        timings.add((kind, clients, side), timings_ms)


@contextmanager
def _gateway(environment: Path, folder: Path, journal: Path) -> Generator[Gateway]:
    """The gateway in front of a bare server with the tools, which it is told of."""
    behind, port = free_port(), free_port()
    bare = ["-m", "benchmarks.peers", "direct", "--port", str(behind), "--journal", str(journal)]
    env = {
        "DATABASE_URL": f"sqlite:///{folder / 'contextforge.db'}",
        "JWT_SECRET_KEY": secrets.token_urlsafe(48),
        "AUTH_ENCRYPTION_SECRET": secrets.token_urlsafe(48),
        "BASIC_AUTH_PASSWORD": secrets.token_urlsafe(24),
        "PLATFORM_ADMIN_EMAIL": _ADMIN,
        "PLATFORM_ADMIN_PASSWORD": secrets.token_urlsafe(24),
        "ENVIRONMENT": "development",
        "CACHE_TYPE": "memory",
        "JSON_RESPONSE_ENABLED": "true",
        "LOG_LEVEL": "ERROR",
        "MCPGATEWAY_UI_ENABLED": "false",
        "MCPGATEWAY_ADMIN_API_ENABLED": "true",
        "PLUGINS_ENABLED": "false",
        "RATE_LIMITING_ENABLED": "false",
        "SSRF_PROTECTION_ENABLED": "false",
    }
    program = [str(environment / "bin" / "mcpgateway"), "--host", "127.0.0.1", "--port", str(port)]
    log = folder / "contextforge.log"
    with (
        server([sys.executable, *bare], behind, folder / "bare.log"),
        server(program, port, log, env, limit_s=START_LIMIT_S),
    ):
        token = _token(environment, folder, env)
        told = {"name": "items", "url": f"http://127.0.0.1:{behind}/mcp", "transport": "STREAMABLEHTTP"}
        request = Request(
            f"http://127.0.0.1:{port}/gateways",
            json.dumps(told).encode(),
            {"content-type": "application/json", "authorization": f"Bearer {token}"},
        )
        try:
            with urlopen(request, timeout=60) as answer:
                answer.read()
        except OSError as error:
            raise NotStarted(f"{PEER_NAME} did not take the upstream: {error}") from None
        yield Gateway(port, token)


def _token(environment: Path, folder: Path, env: Mapping[str, str]) -> str:
    """A token of its own admin, made as its manual says."""
    command = [str(environment / "bin" / "python"), "-m", "mcpgateway.utils.create_jwt_token"]
    asked = ["--username", _ADMIN, "--exp", "600", "--secret", env["JWT_SECRET_KEY"], "--admin"]
    made = subprocess.run(
        [*command, *asked],
        cwd=folder,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=START_LIMIT_S,
        check=True,
    )
    return made.stdout.split()[-1]


def _check_journal(name: str, journal: Path, items: Sequence[str]) -> None:
    """Each item was written once. Raises WrongAnswer."""
    found = Counter(journal.read_text().splitlines())
    if found != Counter(items):
        raise WrongAnswer(f"the upstream of {name} was not written to exactly once for each item")


def _rows(timings: Rounds[Timed]) -> list[Row]:
    return [
        Row(
            name="contextforge",
            metric=f"{kind} {word}{'' if clients == 1 else f', {clients} clients'}",
            unit="ms",
            ours=timings.typical((kind, clients, "ours"), share),
            peer=timings.typical((kind, clients, "contextforge"), share),
            peer_name=PEER_NAME,
        )
        for clients in CALLS
        for kind in ("read", "approved write")
        for share, word in ((0.5, "p50"), (0.95, "p95"))
    ]
