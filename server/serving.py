"""Running a server on a data folder: own it, open the house, listen, and stop in order when told to.

A write that is under way when the signal comes is finished and its outcome written down before the house
closes.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import ssl
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from typing import Any, Final, Literal

import anyio
import uvicorn
from anyio import to_thread
from anyio.abc import TaskGroup
from starlette.applications import Starlette

from ledger.clock import system_now_ms
from ledger.ids import new_id
from server.app import create_app
from server.assembly import running_house
from server.data_folder import DataFolder
from server.errors import BadInput, Unavailable
from server.front import front_of
from server.hooks import hooks_route
from server.loopback import operations_route
from server.operations.performing import desk_of
from server.ownership import own
from server.page.doors import Doors
from server.page.routes import page_routes
from server.reloading import reload_files
from server.settings import Settings
from tool_scopes.house import House

GRACE_S: Final = 40
"""How long requests that are under way may take after the signal: longer than an upstream's default limit."""

_BACKLOG: Final = 2_048


async def serve(folder: DataFolder, settings: Settings, told: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; SIGHUP takes policies and workflows anew. `told` hears the URL of the
    MCP endpoint once it answers.

    Raises `Unavailable` when the port is in use or another process owns the folder.
    """
    started, stop = anyio.Event(), anyio.Event()
    served = list[House]()

    async def until_stopped(tasks: TaskGroup) -> None:
        async with serving(folder, settings) as (url, house):
            served.append(house)
            started.set()
            told(url)
            await stop.wait()
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            tasks.start_soon(until_stopped, tasks)
            async for told_by in signals:
                if told_by == signal.SIGHUP:
                    if started.is_set() and not stop.is_set():
                        await to_thread.run_sync(reload_files, served[0], folder)
                    continue
                if stop.is_set() or not started.is_set():
                    tasks.cancel_scope.cancel()  # asked twice, or nothing is under way yet
                stop.set()


@asynccontextmanager
async def serving(folder: DataFolder, settings: Settings) -> AsyncGenerator[tuple[str, House]]:
    """A server for the length of the block: the URL of its MCP endpoint, and the house behind it."""
    with ExitStack() as opened:
        secured = certified(settings)
        sockets, url, loopback_url = opened.enter_context(
            listening(settings.host, settings.port, tls=secured is not None)
        )
        opened.enter_context(own(folder, loopback_url, instance=new_id("own", system_now_ms())))
        front = front_of(settings, url)
        async with running_house(folder, settings) as house:
            desk, doors = desk_of(house, folder, settings), Doors(front.names, origin=settings.public_url)
            routes = [operations_route(desk), hooks_route(house), *page_routes(desk, doors)]
            app = create_app(house, routes, front, base_url=settings.public_url or url)
            async with AsyncExitStack() as running:
                await running.enter_async_context(_running(_config(app, secured), sockets[:1]))
                # Where the other socket is spoken to in the clear, that takes a server of its own. It stops
                # first: what the application lives on ends with the other one.
                for local in sockets[1:]:
                    await running.enter_async_context(_running(_config(app, None, lifespan="off"), [local]))
                running.callback(app.state.stop_telling)  # a stream that stays open would be waited for
                yield f"{url}/mcp", house


def _config(
    app: Starlette, secured: tuple[str, str] | None, lifespan: Literal["on", "off"] = "on"
) -> uvicorn.Config:
    certificate, key = secured or (None, None)
    return uvicorn.Config(
        app,
        http=_protocol(),
        lifespan=lifespan,
        log_config=None,
        access_log=False,
        server_header=False,
        # Who is at the other end is read from the connection; no header may say otherwise.
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=GRACE_S,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )


@asynccontextmanager
async def _running(config: uvicorn.Config, sockets: list[socket.socket]) -> AsyncGenerator[None]:
    """Serve for the length of the block, then stop in order; an error of the block is raised after that."""
    server = _Server(config)
    body_error: Exception | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, sockets)
        await server.ready.wait()
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised again below, once the server has stopped in order
            body_error = error
        finally:
            server.should_exit = True
    if body_error is not None:
        raise body_error


def certified(settings: Settings) -> tuple[str, str] | None:
    """The files of the certificate and its key, once they are known to fit; None where there is to be no TLS.

    Raises `BadInput`.
    """
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise BadInput("tls_certificate and tls_key belong together; set both, or neither.")
    try:
        # A passphrase would be asked for on the terminal; an empty one fails instead.
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        raise BadInput(
            f"The certificate {certificate} and the key {key} cannot be used ({error}); name two PEM files "
            "that belong together, the key without a passphrase."
        ) from None
    return str(certificate), str(key)


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
def listening(host: str, port: int, *, tls: bool = False) -> Generator[tuple[list[socket.socket], str, str]]:
    """Sockets that listen, the URL for clients, and the one on this machine itself for operations."""
    with ExitStack() as opened:
        public = opened.enter_context(_bound(host, port))
        sockets = [public]
        bound_port = public.getsockname()[1]
        wildcard = host in ("0.0.0.0", "::")
        url = _url("127.0.0.1" if wildcard else host, bound_port)
        loopback_url = url
        if tls:
            url = url.replace("http", "https", 1)
        if tls or (not wildcard and not _is_local(public)):
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
