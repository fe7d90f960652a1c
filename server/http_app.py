"""The HTTP face: `/mcp`, `/mcp/{workflow}/{step}`, health, and the loopback operations, under one check of
identity.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.lowlevel.server import Server
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ledger.clock import system_now_ms
from server.answering import Answering
from server.identity import Identity
from tool_scopes.house import Caller, House

MAX_BODY_BYTES = 1_048_576
"""The largest request body, in bytes. Longer ones are answered 413 before they are parsed."""

LOOPBACK_ONLY = TransportSecuritySettings(
    enable_dns_rebinding_protection=True,
    allowed_hosts=["127.0.0.1:*", "localhost:*", "[::1]:*"],
    allowed_origins=["http://127.0.0.1:*", "http://localhost:*", "http://[::1]:*"],
)
"""Which Host and Origin headers are answered, so that no page in a browser gets here under another name."""


def build_app(
    mcp_server: Server[Any],
    house: House,
    *,
    running: AbstractAsyncContextManager[None],
    routes: Sequence[BaseRoute] = (),
) -> Starlette:
    """The ASGI application. `running` is entered while it serves; `routes` stand beside MCP's."""
    answering = Answering(mcp_server, MAX_BODY_BYTES, LOOPBACK_ONLY)
    guarded = IdentityCheck(answering, Identity(house.ledger), house)

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok", "instance": house.instance})

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        async with running, answering.running():
            yield

    return Starlette(
        routes=[
            Route("/mcp", guarded),
            Route("/mcp/{workflow}/{step}", guarded),
            Route("/healthz", health),
            *routes,
        ],
        lifespan=lifespan,
    )


class IdentityCheck:
    """Lets a request through to MCP only with a caller attached to it."""

    def __init__(self, app: ASGIApp, identity: Identity, house: House) -> None:
        self._app = app
        self._identity = identity
        self._house = house

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 without a caller, 404 where there is no such step; else pass the request on."""
        credential = _bearer(scope)
        caller = None if credential is None else self._identity.caller(credential, system_now_ms())
        if caller is None:
            await _challenge(scope, receive, send)
            return
        placed = self._placed(caller, scope.get("path_params", {}))
        if placed is None:
            await JSONResponse({"error": "not_found"}, status_code=404)(scope, receive, send)
            return
        # The SDK binds a legacy session to the user in the scope: another principal, or another step, gets
        # 404 there.
        subject = f"{placed.run or ''}/{placed.step or ''}/{placed.epoch or 0}"
        token = AccessToken(token="", client_id=placed.agent.id, scopes=[], subject=subject)
        scope["user"] = AuthenticatedUser(token)
        scope["bailiwick.caller"] = placed
        await self._app(scope, receive, send)

    def _placed(self, caller: Caller, path: dict[str, str]) -> Caller | None:
        """The caller at the workflow and step of the URL; None where there is no such step."""
        if not path:
            return caller
        workflow = self._house.workflows.get(path["workflow"])
        if workflow is None or path["step"] not in workflow.steps:
            return None
        if caller.workflow is not None and (caller.workflow, caller.step) != (workflow.name, path["step"]):
            return None
        return (
            caller
            if caller.workflow is not None
            else Caller(caller.agent, workflow=workflow.name, step=path["step"])
        )


def _bearer(scope: Scope) -> str | None:
    """The one bearer credential of a request; two Authorization headers are none."""
    found = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(found) != 1:
        return None
    kind, _, credential = found[0].decode("latin-1").partition(" ")
    return credential.strip() if kind.lower() == "bearer" else None


async def _challenge(scope: Scope, receive: Receive, send: Send) -> None:
    body = {
        "error": "invalid_token",
        "error_description": "Send `Authorization: Bearer` with an agent key or a step pass",
    }
    response = JSONResponse(
        body, status_code=401, headers={"www-authenticate": 'Bearer error="invalid_token"'}
    )
    await response(scope, receive, send)
