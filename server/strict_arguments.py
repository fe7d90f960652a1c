"""A call's arguments, read strictly from the body as it came."""

from __future__ import annotations

from typing import Any, Final, cast

from mcp.server.context import ServerRequestContext
from mcp_types import CallToolRequestParams
from starlette.requests import Request

from ledger.canonical import CanonicalError, JsonObject, check_value, parse_strict
from policies.codes import Denial

UNREADABLE_META: Final = "dev.bailiwick/unreadable"
"""The `_meta` key under which a pipe says why it could not read a call's arguments; that call is refused."""

MAX_CALL_BYTES: Final = 131_072
"""The largest request body of a `tools/call`, in bytes; its arguments have a smaller limit of their own."""


async def strict_arguments(
    ctx: ServerRequestContext[Any, Any], params: CallToolRequestParams
) -> JsonObject | Denial:
    """The call's arguments, read strictly from the body as it came: the SDK's own parser keeps the last of
    two equal keys.
    """
    request = cast("Request | None", ctx.request)
    unread = (ctx.meta or {}).get(UNREADABLE_META)
    if unread is not None:
        why = str(unread)[:300]
        return Denial("invalid_arguments", reason=f"unread in a pipe: {why}", detail={"why": why})
    try:
        if request is None:
            given = check_value(params.arguments or {})
        else:
            body = parse_strict(await request.body(), max_bytes=MAX_CALL_BYTES)
            sent = body.get("params") if isinstance(body, dict) else None
            given = sent.get("arguments") if isinstance(sent, dict) else None
            given = {} if given is None else given
    except CanonicalError as error:
        return Denial("invalid_arguments", reason=str(error), detail={"why": str(error)})
    if not isinstance(given, dict):
        return Denial(
            "invalid_arguments",
            reason="arguments are no object",
            detail={"why": "arguments must be an object"},
        )
    return given
