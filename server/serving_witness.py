"""Running a witness's server: one process for each folder, until it is told to stop."""

from __future__ import annotations

import contextlib
import fcntl
import socket
from collections.abc import Callable, Generator
from pathlib import Path

import uvicorn

from server.errors import Unavailable
from server.serving import listening
from server.witness_app import witness_app
from server.witness_folder import open_witness


def serve_witness(folder: Path, host: str, port: int, told: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `told` hears the URL once it answers. `Unavailable` if it cannot."""
    witness = open_witness(folder)
    with _alone(witness.root), listening(host, port) as (sockets, url, _):
        config = uvicorn.Config(
            witness_app(witness), log_config=None, access_log=False, server_header=False, proxy_headers=False
        )
        _Server(config, lambda: told(url)).run(sockets)


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self._ready()


@contextlib.contextmanager
def _alone(root: Path) -> Generator[None]:
    """Let no second process keep heads in this folder: two could confirm two histories."""
    with (root / ".lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(f"Another process serves the witness in {root}; stop it first.") from None
        yield
