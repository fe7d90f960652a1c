"""`bailiwick serve` as a process of its own: for what only a process can show, its death."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream

from ledger.canonical import JsonObject
from tests.rooms.stage import Stage

ROOT = Path(__file__).resolve().parents[2]
BAILIWICK = (sys.executable, "-m", "server")


@dataclass(frozen=True, slots=True)
class Served:
    """A server process on a stage. `url` is the desk's."""

    stage: Stage
    process: Process
    url: str

    async def ask(self, person: str, operation: str, **args: Any) -> JsonObject:
        """An operation of a person over the loopback interface."""
        base = self.url.removesuffix("/mcp")
        return await to_thread.run_sync(partial(self.stage.ask, base, person, operation, **args))

    async def judge(self, person: str, request: str) -> JsonObject:
        """Let a person approve a request."""
        base = self.url.removesuffix("/mcp")
        return await to_thread.run_sync(partial(self.stage.judge, base, person, request))


@asynccontextmanager
async def server_process(stage: Stage, **settings: str) -> AsyncGenerator[Served]:
    """A server process that answers, under more settings if need be. Killed at the end if it still lives."""
    command = (*BAILIWICK, "serve", "--data", str(stage.folder.root), "--port", "0", "--log-level", "error")
    more = {f"BAILIWICK_{name.upper()}": value for name, value in settings.items()}
    async with await anyio.open_process(command, cwd=ROOT, stderr=None, env=os.environ | more) as process:
        try:
            assert process.stdout is not None
            with anyio.fail_after(90):
                url = (await TextReceiveStream(process.stdout).receive()).strip()
            yield Served(stage, process, url)
        finally:
            if process.returncode is None:
                process.kill()
