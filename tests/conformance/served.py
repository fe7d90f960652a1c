"""The production application with the fixtures on it, behind a proxy that adds an agent's key: the suite has
no option for a header. Host and Origin pass as they came.

    python -m tests.conformance.served DATA_FOLDER AGENT_KEY CALLED.json
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import anyio
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from server.app import create_app
from server.assembly import running_house
from server.data_folder import open_folder
from server.serving import listening
from server.settings import Settings
from tests.conformance.fixtures import register


class AddIdentity:
    """A proxy that gives every request to MCP the same credential."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app, self._header = app, (b"authorization", f"Bearer {key}".encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "headers": [*scope["headers"], self._header]}
        await self._app(scope, receive, send)


class Counting(Counter[str]):
    """Counts, and keeps the counts in a file, so that they are known also after this process ends."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    def __setitem__(self, name: str, count: int) -> None:
        super().__setitem__(name, count)
        self._file.write_text(json.dumps(self))


async def serve(folder: Path, key: str, called: Path) -> None:
    """Serve until the process is ended; the first line that is printed is the URL."""
    with listening("127.0.0.1", 0) as (sockets, url, _):
        async with running_house(open_folder(folder), Settings(host="127.0.0.1", port=0)) as house:
            app = create_app(house, base_url=url, extend=partial(register, called=Counting(called)))
            config = uvicorn.Config(AddIdentity(app, key), lifespan="on", log_level="warning")
            print(f"{url}/mcp", flush=True)
            await uvicorn.Server(config).serve(sockets)


if __name__ == "__main__":
    anyio.run(serve, Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
