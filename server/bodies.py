"""Reading a request's body before anybody else does, and telling it again."""

from __future__ import annotations

import json
from typing import Any, Final, cast

from mcp_types import INVALID_REQUEST
from starlette.responses import JSONResponse
from starlette.types import Message, Receive

_NO_MESSAGE: Final = (
    'The body is no JSON-RPC message: send one object with "jsonrpc": "2.0", a "method", and "params" that '
    "are an object"
)


async def read_body(receive: Receive, max_body: int) -> tuple[bytes, Receive]:
    """The body, as far as it is of interest, and a `receive` that tells all of it again.

    `max_body` is in bytes; what is longer is read no further, to be refused for its length.
    """
    messages: list[Message] = []
    body = bytearray()
    more = True
    while more and len(body) <= max_body:
        message = await receive()
        messages.append(message)
        body += message.get("body", b"")
        more = message.get("more_body", False)
    told = iter(messages)

    async def again() -> Message:
        message = next(told, None)
        return await receive() if message is None else message

    return bytes(body), again


def no_message(body: bytes) -> JSONResponse | None:
    """The refusal of JSON that is no message of JSON-RPC 2.0; None for a message, and for what is no JSON."""
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict) and _is_message(cast("dict[str, Any]", value)):
        return None
    error = {"code": INVALID_REQUEST, "message": _NO_MESSAGE}
    return JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, status_code=400)


def _is_message(value: dict[str, Any]) -> bool:
    if value.get("jsonrpc") != "2.0" or not isinstance(value.get("id"), int | str | None):
        return False
    if "method" in value:
        return isinstance(value["method"], str) and isinstance(value.get("params"), dict | None)
    return isinstance(value.get("result"), dict) or isinstance(value.get("error"), dict)
