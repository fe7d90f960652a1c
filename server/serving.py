"""Running a server on a data folder: own it, open the house, listen, and stop in order when told to.

A write that is under way when the signal comes is finished and its outcome written down before the house
closes.
"""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any, Final

import anyio
import uvicorn
from anyio.abc import TaskGroup

from ledger.clock import system_now_ms
from ledger.ids import new_id
from server.app import create_app
from server.assembly import running_house
from server.data_folder import DataFolder
from server.errors import Unavailable
from server.hooks import hooks_route
from server.http_app import LOOPBACK_ONLY
from server.loopback import operations_route
from server.operations.performing import desk_of
from server.ownership import own
from server.page.doors import Doors
from server.page.routes import page_routes
from server.settings import Settings
from tool_scopes.house import House

GRACE_S: Final = 40
"""How long requests that are under way may take after the signal: longer than an upstream's default limit."""

_BACKLOG: Final = 2_048


async def serve(folder: DataFolder, settings: Settings, told: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM. `told` hears the URL of the MCP endpoint once it answers.

    Raises `Unavailable` when the port is in use or another process owns the folder.
    """
    started, stop = anyio.Event(), anyio.Event()

    async def until_stopped(tasks: TaskGroup) -> None:
        async with serving(folder, settings) as (url, _):
            started.set()
            told(url)
            await stop.wait()
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            tasks.start_soon(until_stopped, tasks)
            async for _signal in signals:
                if stop.is_set() or not started.is_set():
                    tasks.cancel_scope.cancel()  # asked twice, or nothing is under way yet
                stop.set()


@asynccontextmanager
async def serving(folder: DataFolder, settings: Settings) -> AsyncGenerator[tuple[str, House]]:
    """A server for the length of the block: the URL of its MCP endpoint, and the house behind it."""
    with ExitStack() as opened:
        sockets, url, loopback_url = opened.enter_context(listening(settings.host, settings.port))
        opened.enter_context(own(folder, loopback_url, instance=new_id("own", system_now_ms())))
        async with running_house(folder, settings) as house:
            desk, doors = desk_of(house, folder, settings), Doors(LOOPBACK_ONLY)
            routes = [operations_route(desk), hooks_route(house), *page_routes(desk, doors)]
            app = create_app(house, routes, base_url=settings.public_url or url)
            config = uvicorn.Config(
                app,
                http=_protocol(),
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                # Who is at the other end is read from the connection; no header may say otherwise.
                proxy_headers=False,
                backlog=_BACKLOG,
                timeout_graceful_shutdown=GRACE_S,
            )
            server = _Server(config)
            body_error: Exception | None = None
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(server.serve, sockets)
                await server.ready.wait()
                try:
                    yield f"{url}/mcp", house
                except Exception as error:  # noqa: BLE001 - raised again below, once the server has stopped in order
                    body_error = error
                finally:
                    app.state.stop_telling()  # a stream that stays open would be waited for
                    server.should_exit = True
            if body_error is not None:
                raise body_error


def _protocol() -> Any:
    """The HTTP protocol with bounds; uvicorn's own choice where httptools does not run (Windows)."""
    try:
        from server.patience import BoundedHttp
    except ImportError:
        return "auto"
    return BoundedHttp


class _Server(uvicorn.Server):
    """uvicorn's server, without its own signal handling: whoever runs it decides when it stops."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = anyio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signals alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.ready.set()


@contextmanager
def listening(host: str, port: int) -> Generator[tuple[list[socket.socket], str, str]]:
    """Sockets that listen, the URL for clients, and the one on this machine itself for operations."""
    with ExitStack() as opened:
        public = opened.enter_context(_bound(host, port))
        sockets = [public]
        bound_port = public.getsockname()[1]
        wildcard = host in ("0.0.0.0", "::")
        url = _url("127.0.0.1" if wildcard else host, bound_port)
        loopback_url = url
        if not wildcard and not _is_local(public):
            local = opened.enter_context(_bound("127.0.0.1", 0))
            sockets.append(local)
            loopback_url = _url("127.0.0.1", local.getsockname()[1])
        yield sockets, url, loopback_url


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise Unavailable(
            f"{host} is no address that this machine can listen on ({error.strerror})."
        ) from None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise Unavailable(
            f"Port {port} on {host} cannot be used ({error.strerror}); stop what listens there, or choose "
            "another port with --port."
        ) from None
    return listening


def _is_local(listening: socket.socket) -> bool:
    name = str(listening.getsockname()[0])
    return name.startswith("127.") or name == "::1"


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
