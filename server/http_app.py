"""The HTTP face: `/mcp`, `/mcp/{workflow}/{step}`, health, and the loopback operations, under one check of
identity.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from mcp.server.lowlevel.server import Server
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route

from server.answering import Answering
from server.front import Front, on_this_machine
from server.identity import Identity
from server.identity_check import IdentityCheck
from server.metrics import Metrics
from server.standing_by import standing_routes
from tool_scopes.house import House

MAX_BODY_BYTES = 1_048_576
"""The largest request body, in bytes. Longer ones are answered 413 before they are parsed."""


def build_app(
    mcp_server: Server[Any],
    house: House,
    *,
    running: AbstractAsyncContextManager[None],
    metrics: Metrics,
    routes: Sequence[BaseRoute] = (),
    front: Front | None = None,
) -> Starlette:
    """The ASGI application. `running` is entered while it serves; `routes` stand beside MCP's."""
    front = front or on_this_machine()
    answering = Answering(mcp_server, MAX_BODY_BYTES, front.names)
    guarded = IdentityCheck(answering, Identity(house.ledger), house, front, metrics)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        async with running, answering.running():
            yield

    return Starlette(
        routes=[
            Route("/mcp", guarded),
            Route("/mcp/{workflow}/{step}", guarded),
            *standing_routes(house, metrics, front.metrics_token),
            *(() if front.tokens is None else front.tokens.routes()),
            *routes,
        ],
        lifespan=lifespan,
    )
