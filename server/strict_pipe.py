"""Standard input, read strictly: a tool call that has no single meaning is refused as it is over HTTP.

The SDK reads a line leniently: of two equal keys it keeps the last, bad UTF-8 becomes another character, and
what it cannot read at all gets no answer. So each line is read here first. A call that may not be read goes
on without its arguments and says why; the server that owns the folder refuses it and writes that down.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import AsyncIterator
from typing import Any, cast

import anyio

from ledger.canonical import CanonicalError, parse_strict
from server.strict_arguments import MAX_CALL_BYTES, UNREADABLE_META


class StrictLines:
    """The lines of a stream as the SDK's transport may read them."""

    def __init__(self, lines: anyio.AsyncFile[str]) -> None:
        self._lines = lines

    async def __aiter__(self) -> AsyncIterator[str]:
        """Each line, or what stands for it."""
        async for line in self._lines:
            yield as_it_may_be_read(line)


def standard_input() -> StrictLines:
    """This process's standard input, taken away from everybody else in it."""
    wire = os.fdopen(os.dup(0), "rb", closefd=False)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    # What is no UTF-8 becomes lone surrogates, which no strict reading lets pass.
    return StrictLines(anyio.wrap_file(io.TextIOWrapper(wire, "utf-8", errors="surrogateescape")))


def as_it_may_be_read(line: str) -> str:
    """The line itself, unless it is a tool call that cannot be read strictly; then one that says why."""
    try:
        parse_strict(line, max_bytes=MAX_CALL_BYTES)
    except CanonicalError as error:
        return _without_arguments(line, str(error))
    return line


def _without_arguments(line: str, why: str) -> str:
    try:
        message: Any = json.loads(line)
    except (ValueError, RecursionError):
        return line  # no JSON at all, or so deep that nobody reads it: the SDK passes over it
    match message:
        case {"id": int() | str() as request, "method": "tools/call", "params": {"name": str(name)} as sent}:
            given = cast("dict[str, Any]", sent).get("_meta")
            meta = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
            params = {"name": name, "arguments": {}, "_meta": {**meta, UNREADABLE_META: why}}
            call = {"jsonrpc": "2.0", "id": request, "method": "tools/call", "params": params}
            return json.dumps(call) + "\n"
        case _:
            return line
