"""What the tests of upstreams share: a raw upstream as a running `Upstream`, and what it saw of us."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel

from tests.tool_scopes.raw_upstream import MODERN
from tool_scopes.upstream.limits import Limits
from tool_scopes.upstream.servers import Server, StdioServer, Surroundings
from tool_scopes.upstream.session import Accepts, Seen, Upstream

PROGRAM = Path(__file__).with_name("raw_upstream.py")
QUICK = Limits(start_s=20.0, stop_s=1.0, restart_s=(0.0,), look_pause_s=0.0)


def raw_server(folder: Path, *more: str, era: str = MODERN, env: dict[str, str] | None = None) -> StdioServer:
    """The raw upstream as a server; what it sees goes to `seen.jsonl` in the folder."""
    options = ("--era", era, "--seen", str(folder / "seen.jsonl"), *more)
    return StdioServer(("${PYTHON}", str(PROGRAM), *options), env or {})


@asynccontextmanager
async def running(
    server: Server,
    *,
    limits: Limits = QUICK,
    log: Path | None = None,
    secrets: dict[str, str] | None = None,
    accepts: Accepts = lambda _: True,
    seen: Seen | None = None,
) -> AsyncGenerator[Upstream]:
    """An upstream whose first attempt to start is over; its tools count as accepted unless `accepts` says."""
    surroundings = Surroundings({"PYTHON": sys.executable}, secrets or {})
    upstream = Upstream("raw", server, surroundings, accepts=accepts, seen=seen, log=log, limits=limits)
    problem: Exception | None = None
    async with anyio.create_task_group() as tasks:
        await tasks.start(upstream.run)
        try:
            yield upstream
        except Exception as error:  # noqa: BLE001 - raised again outside the group, which would wrap it
            problem = error
        tasks.cancel_scope.cancel()
    if problem is not None:
        raise problem


def seen(folder: Path, method: str | None = None) -> list[dict[str, Any]]:
    """The messages that the raw upstream got, of one method or all."""
    path = folder / "seen.jsonl"
    # Not `str.splitlines`, which also breaks at characters that JSON allows inside a text.
    lines = path.read_bytes().splitlines() if path.exists() else []
    messages: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return [message for message in messages if method in (None, message.get("method"))]


async def until(true: Callable[[], bool]) -> None:
    """Let everything else run until `true()`; fails after ten seconds."""
    with anyio.fail_after(10):
        while not true():
            await anyio.lowlevel.checkpoint()
