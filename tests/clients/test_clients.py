"""Clients that nobody here wrote, each in an environment of its own, walk a run with one approved write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from server.desk import DESK
from tests.clients.environments import PACKAGES
from tests.rooms.stage import Room

pytestmark = [pytest.mark.clients, pytest.mark.slow]
HERE = Path(__file__).parent
WALKED = ["approval_required", "done", "approval_spent"]
WITHOUT_META = {"langchain"}
"""Clients that cannot bring an approval in `_meta`."""


def command(client: str) -> list[str]:
    """What runs a client's script in its own environment."""
    folder = Path(os.environ["BAILIWICK_TEST_CLIENTS"])
    script = str(HERE / f"with_{client}.py")
    if client == "inspector":
        return [sys.executable, script]
    return [str(folder / client / "bin" / "python"), script]


@contextmanager
def started(client: str, url: str, key: str, item: str) -> Generator[subprocess.Popen[str]]:
    """The client at work, told as little of this machine as it needs."""
    inspector = Path(os.environ["BAILIWICK_TEST_CLIENTS"]) / "inspector/node_modules/.bin/mcp-inspector"
    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with subprocess.Popen(
        [*command(client), url, key, item, str(inspector)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**env, "PYTHONDONTWRITEBYTECODE": "1"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("client", [*PACKAGES, "inspector"])
async def test_a_client_walks_a_run_and_writes_only_what_was_approved(
    room: Room, item: str, client: str
) -> None:
    _, key = await room.agent()
    with started(client, room.url, key, f"{client}-{item}") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        with anyio.fail_after(170):
            while (line := await to_thread.run_sync(process.stdout.readline)).startswith("approve "):
                await room.judge("rita", line.split()[1])
                await to_thread.run_sync(partial(print, file=process.stdin, flush=True))
        saw = json.loads(line)
    assert saw["tools"] == list(DESK)
    assert saw["read"] == ["done", True]
    ways = ["by argument"] if client in WITHOUT_META else ["by argument", "by meta"]
    assert {way: saw[way] for way in ways} == dict.fromkeys(ways, WALKED)
    assert list(saw) == ["tools", "read", *ways]
    prices = [effect["price"] for effect in room.stage.effects(f"{client}-{item}")]
    assert prices == [5, 6][: len(ways)]
