"""Death: a server that is killed in the middle of a write leaves an execution in doubt, and nobody runs it again."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest
from anyio import to_thread
from anyio.abc import Process

from server import app, assembly
from tests.rooms.peers import ERAS, Peer, connected
from tests.rooms.stage import Stage, served, until
from tests.rooms.test_write_gate_changes import Clock
from tool_scopes.executions import find_execution  # noqa: F401

CHANGE = "shop__change_item"
ROOT = Path(__file__).resolve().parents[2]


@asynccontextmanager
async def server_process(stage: Stage) -> AsyncGenerator[tuple[Process, str]]:
    """`bailiwick serve` as a process of its own, killed at the end if it still lives; its address."""
    command = [sys.executable, "-m", "server", "serve", "--data", str(stage.folder.root), "--port", "0"]
    async with await anyio.open_process(command, cwd=ROOT, stdout=None, stderr=None) as process:
        try:
            with anyio.fail_after(30):
                url = await _address(stage, process)
            yield process, url
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _address(stage: Stage, process: Process) -> str:
    """Where the server listens, once it has said so."""
    while True:
        assert process.returncode is None, "the server did not start"
        try:
            told = json.loads(stage.folder.owner_file.read_bytes())
        except (OSError, ValueError):
            told = {}
        if told.get("pid") == process.pid and await _answers(str(told["url"])):
            return str(told["url"])
        await anyio.sleep(0.02)


async def _answers(url: str) -> bool:
    host, _, port = url.removeprefix("http://").rpartition(":")
    try:
        async with await anyio.connect_tcp(host, int(port)) as stream:
            await stream.send(b"GET /healthz HTTP/1.0\r\n\r\n")
            return b" 200 " in await stream.receive()
    except OSError:
        return False
