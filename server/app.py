"""The server process: the house, the HTTP face and the upkeep that goes on beside them, until it is told to
stop.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version

import anyio
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from ledger.clock import system_now_ms
from ledger.errors import LedgerError
from server.announcing import Announcer
from server.front import Front
from server.gateway import GatewayServer, build_server
from server.http_app import build_app
from server.metering import Metering
from server.metrics import Metrics
from tool_scopes.executions import expire_leases, lapsed_leases
from tool_scopes.house import House
from tool_scopes.timeouts import end_overdue, overdue
from tool_scopes.yaml_files import FileRefused

logger = logging.getLogger(__name__)

UPKEEP_INTERVAL_S = 5.0
"""How often lapsed leases and steps whose time is over are looked for, in seconds."""


def product_version() -> str:
    """The installed version of Bailiwick."""
    return version("bailiwick")


def create_app(
    house: House,
    routes: Sequence[BaseRoute] = (),
    front: Front | None = None,
    *,
    base_url: str | None = None,
    extend: Callable[[GatewayServer], None] | None = None,
) -> Starlette:
    """The application over a house that somebody else has opened and will close.

    `base_url` is where people and clients reach it. `extend` may register more on the MCP server: for tests
    that speak to this very application. `state.stop_telling` ends all subscriptions in order.
    """
    announcer, metrics = Announcer(house), Metrics(house, product_version())
    server = build_server(house, product_version(), announcer=announcer, base_url=base_url)
    # Outermost, so that what the others turn away is counted too.
    server.middleware.insert(0, Metering(metrics))
    if extend is not None:
        extend(server)
    running = _upkeep(house, announcer)
    app = build_app(server, house, running=running, metrics=metrics, routes=routes, front=front)
    app.state.stop_telling = announcer.close
    return app


@asynccontextmanager
async def _upkeep(house: House, announcer: Announcer) -> AsyncGenerator[None]:
    """Look for what time has ended, and tell those who listen, for as long as the server runs."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_look_for_ever, house, "lapsed leases", _expire_leases)
        tasks.start_soon(_look_for_ever, house, "steps whose time is over", _end_overdue)
        tasks.start_soon(announcer.run)
        yield
        tasks.cancel_scope.cancel()


async def _look_for_ever(house: House, what: str, look: Callable[[House], Awaitable[None]]) -> None:
    while True:
        await anyio.sleep(UPKEEP_INTERVAL_S)
        try:
            await look(house)
        except (LedgerError, FileRefused) as error:
            logger.error("%s could not be looked for: %s", what, error)


async def _expire_leases(house: House) -> None:
    if house.ledger.read(lambda reading: lapsed_leases(reading, system_now_ms())):
        await house.ledger.transact(expire_leases)


async def _end_overdue(house: House) -> None:
    if house.ledger.read(lambda reading: overdue(reading, system_now_ms())):
        await house.ledger.transact(partial(end_overdue, house))
