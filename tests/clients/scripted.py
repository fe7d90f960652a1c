"""A model that is no model: it asks for the walk's tool calls, one after the other, through a framework's own
loop, and hears what the framework tells a model of each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, NamedTuple

from walk import in_text, walk


class Wanted(NamedTuple):
    """The tool call that the model asks for next, and the `_meta` that goes with it."""

    tool: str
    arguments: dict[str, Any]
    meta: dict[str, Any] | None


class Script:
    """Between the walk, which calls, and the framework's loop, which asks its model what to do."""

    def __init__(self) -> None:
        self._wanted: asyncio.Queue[Wanted | None] = asyncio.Queue()
        self._told: asyncio.Queue[Any] = asyncio.Queue()
        self.meta: dict[str, Any] | None = None
        """The `_meta` of the call that is under way."""

    async def call(self, tool: str, arguments: dict[str, Any], meta: dict[str, Any] | None) -> dict[str, Any]:
        """A call as `walk` makes it."""
        await self._wanted.put(Wanted(tool, arguments, meta))
        return in_text(await self._told.get())

    async def next(self, told: Any) -> Wanted | None:
        """What the model asks for, having been `told` of the call before (None at the beginning)."""
        if told is not None:
            await self._told.put(told)
        wanted = await self._wanted.get()
        self.meta = None if wanted is None else wanted.meta
        return wanted

    async def play(self, names: list[str], loop: Awaitable[Any]) -> None:
        """Walk while the framework's loop runs, then let its model end."""
        running = asyncio.ensure_future(loop)
        walking = asyncio.ensure_future(walk(names, self.call, carries_meta=True))
        await asyncio.wait({running, walking}, return_when=asyncio.FIRST_COMPLETED)
        if not walking.done():
            walking.cancel()
            await running  # it ended before the walk did: say why
            raise RuntimeError("the framework's loop ended before the walk")
        await walking
        await self._wanted.put(None)
        await running
