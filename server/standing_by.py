"""What operators and their machines ask a server besides MCP: is it alive, is it ready, what has it counted.

GET /healthz   200 while the process answers at all: restart it when it does not
GET /readyz    200, or 503 while no call should be sent here, with the reasons by name
GET /metrics   Prometheus' format, to whoever has the token of the settings; without one it does not exist
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from anyio import to_thread
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ledger.errors import LedgerError
from policies.gate_state import read_gate
from server.metrics import Metrics
from tool_scopes.house import House

_FORMAT = "text/plain; version=0.0.4; charset=utf-8"


def standing_routes(house: House, metrics: Metrics, token: SecretStr | None) -> Sequence[Route]:
    """The three endpoints; they tell nothing about anybody's work."""

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok", "instance": house.instance})

    async def ready(_request: Request) -> Response:
        because = await to_thread.run_sync(why_not_ready, house)
        told = {"status": "not_ready" if because else "ready", "because": because}
        return JSONResponse(told, 503 if because else 200, {"cache-control": "no-store"})

    async def measured(request: Request) -> Response:
        if token is None:
            return JSONResponse({"error": "not_found"}, 404)
        expected = f"Bearer {token.get_secret_value()}".encode()
        if not hmac.compare_digest(request.headers.get("authorization", "").encode("latin-1"), expected):
            return JSONResponse({"error": "invalid_token"}, 401, {"www-authenticate": "Bearer"})
        return Response(await to_thread.run_sync(metrics.text), media_type=_FORMAT)

    return [
        Route("/healthz", health, methods=["GET"]),
        Route("/readyz", ready, methods=["GET"]),
        Route("/metrics", measured, methods=["GET"]),
    ]


def why_not_ready(house: House) -> list[str]:
    """`ledger`: it cannot be read. `gate`: this server's files are not those in force, so it refuses every
    call until it has loaded them. An upstream that is down is no reason: its tools alone are unavailable.
    """
    try:
        gate = house.ledger.read(read_gate)
    except LedgerError:
        return ["ledger"]
    return [] if house.outdated(gate) is None else ["gate"]
