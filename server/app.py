"""The server process: the house, the HTTP face and the upkeep that goes on beside them, until it is told to
stop.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version

import anyio
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from ledger.clock import system_now_ms
from ledger.errors import LedgerError
from server.front import Front
from server.gateway import build_server
from server.http_app import build_app
from server.metering import Metering
from server.metrics import Metrics
from tool_scopes.executions import expire_leases, lapsed_leases
from tool_scopes.house import House

logger = logging.getLogger(__name__)

UPKEEP_INTERVAL_S = 5.0
"""How often lapsed leases are looked for, in seconds."""


def product_version() -> str:
    """The installed version of Bailiwick."""
    return version("bailiwick")


def create_app(house: House, routes: Sequence[BaseRoute] = (), front: Front | None = None) -> Starlette:
    """The application over a house that somebody else has opened and will close."""
    server, metrics = build_server(house, product_version()), Metrics(house, product_version())
    # Outermost, so that what the others turn away is counted too.
    server.middleware.insert(0, Metering(metrics))
    running = _upkeep(house)
    return build_app(server, house, running=running, metrics=metrics, routes=routes, front=front)


@asynccontextmanager
async def _upkeep(house: House) -> AsyncGenerator[None]:
    """Look for lapsed leases for as long as the server runs."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_expire_leases_for_ever, house)
        yield
        tasks.cancel_scope.cancel()


async def _expire_leases_for_ever(house: House) -> None:
    while True:
        await anyio.sleep(UPKEEP_INTERVAL_S)
        try:
            if house.ledger.read(lambda reading: lapsed_leases(reading, system_now_ms())):
                await house.ledger.transact(expire_leases)
        except LedgerError as error:
            logger.error("lapsed leases could not be looked for: %s", error)
