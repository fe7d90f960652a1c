"""Operations over the loopback interface: how the owner of a data folder takes them from the command line.

    POST /operations/{name}   {"args": {…}, "signed": {…}}
    →   {"result": {…}}   or   {"error": "…", "exit": 1|2|3}

The signature is the identity. That the peer is this machine, that no browser speaks and that the name in
`Host` is an address of this machine are checked as well: nothing else has any business here.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Final, cast
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ledger.canonical import CanonicalError, JsonObject, parse_strict
from policies.operations import SignedOperation
from server.errors import BAD_INPUT, REFUSED, UNAVAILABLE, BadInput, failure_of
from server.operations.operation import OperationDesk
from server.operations.performing import perform_beside
from server.sending import MAX_BODY_BYTES

_STATUS: Final = {REFUSED: 403, BAD_INPUT: 400, UNAVAILABLE: 503}
_SIGNED_FIELDS: Final = {"op", "args_digest", "person", "at", "nonce", "kid", "signature"}


def operations_route(desk: OperationDesk) -> Route:
    """The endpoint over the desk of a running server."""

    async def endpoint(request: Request) -> Response:
        try:
            if not _from_here(request):
                return _failure("Operations are taken from this machine only.", REFUSED)
            args, signed = parse_operation(await body_of(request))
            result = await perform_beside(desk, request.path_params["name"], args, signed)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:  # noqa: BLE001 - the one place where a failure becomes an answer
            failure = failure_of(error)
            return _failure(failure.sentence, failure.exit_code)
        return JSONResponse({"result": result})

    return Route("/operations/{name}", endpoint, methods=["POST"])


def _from_here(request: Request) -> bool:
    """Whether a program of this machine asks: not from elsewhere, and not a web page."""
    peer, own = request.client, cast("tuple[str, int] | None", request.scope.get("server"))
    if peer is None or own is None or "origin" in request.headers:
        return False
    if request.headers.get("content-type") != "application/json":
        return False  # a form of a web page can send other types without being asked
    host = (urlsplit(f"//{request.headers.get('host', '')}").hostname or "").lower()
    return _is_loopback(peer.host) and (host in ("localhost", own[0]) or _is_loopback(host))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


async def body_of(request: Request, limit: int = MAX_BODY_BYTES) -> bytes:
    """The body of a request; `BadInput` when it has more than `limit` bytes."""
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > limit:
            raise BadInput(f"An operation has at most {limit} bytes.")
    return bytes(received)


def parse_operation(raw: bytes) -> tuple[JsonObject, SignedOperation]:
    """The arguments and the signature of an operation as it is sent; `BadInput` when it is none."""
    try:
        value = parse_strict(raw, max_bytes=MAX_BODY_BYTES)
    except CanonicalError as error:
        raise BadInput(f"The operation cannot be read: {error}") from None
    match value:
        case {"args": dict(args), "signed": dict(signed)} if (
            len(value) == 2 and set(signed) == _SIGNED_FIELDS
        ):
            fields: dict[str, Any] = dict(signed)
            if all(isinstance(item, int if name == "at" else str) for name, item in fields.items()):
                return args, SignedOperation(**fields)
        case _:
            pass
    raise BadInput("An operation is sent as {args, signed}; use the command line of this version.")


def _failure(sentence: str, exit_code: int) -> Response:
    return JSONResponse({"error": sentence, "exit": exit_code}, status_code=_STATUS.get(exit_code, 503))
