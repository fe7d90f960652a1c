"""Pages of a list. A cursor says how far a client has come; it is opaque, and one that is none is refused."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Final, TypeVar

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, PaginatedRequestParams

T = TypeVar("T")

PAGE: Final = 100
"""How many entries a page has. Tools come in one page: several clients read no second one."""

_PREFIX: Final = b"p1."


def page(
    items: Sequence[T], params: PaginatedRequestParams | None, size: int = PAGE
) -> tuple[list[T], str | None]:
    """The page that `params` asks for, and the cursor of the next one. Lists only ever grow at their end, so
    a place in one stays the same place.
    """
    start = _place(params)
    if start > len(items):
        raise _no_cursor()
    end = start + size
    return list(items[start:end]), _cursor(end) if end < len(items) else None


def only_page(params: PaginatedRequestParams | None) -> None:
    """For a list that has one page: whatever cursor a client brings was not given here."""
    if params is not None and params.cursor is not None:
        raise _no_cursor()


def _cursor(place: int) -> str:
    return base64.urlsafe_b64encode(_PREFIX + str(place).encode()).decode().rstrip("=")


def _place(params: PaginatedRequestParams | None) -> int:
    cursor = None if params is None else params.cursor
    if cursor is None:
        return 0
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _no_cursor() from None
    told = raw.removeprefix(_PREFIX)
    place = int(told) if raw.startswith(_PREFIX) and told.isdigit() and len(told) < 10 else 0
    if place < 1 or _cursor(place) != cursor:
        raise _no_cursor()
    return place


def _no_cursor() -> MCPError:
    return MCPError(code=INVALID_PARAMS, message="Unknown cursor: list again from the start")
