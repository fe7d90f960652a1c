"""Progress of a call, for whoever asks for it: that it is being judged, and then how many seconds it takes.

An upstream's own progress is not passed on: whatever it says unasked is dropped, and a stranger's text would
reach the model outside `result`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import anyio
from mcp.server.context import ServerRequestContext

T = TypeVar("T")

EVERY_S: Final = 1.0
"""How often a call that takes long says so, in seconds."""


async def with_progress(
    ctx: ServerRequestContext[Any, Any], tool: str, work: Callable[[], Awaitable[T]]
) -> T:
    """Do the work. A request that carries a progress token hears of it meanwhile; any other costs nothing."""
    if ctx.meta is None or ctx.meta.get("progress_token") is None:
        return await work()
    failed: Exception | None = None
    result: list[T] = []
    async with anyio.create_task_group() as tasks:
        await ctx.session.report_progress(0, message=f"{tool[:128]}: being judged")
        tasks.start_soon(_tell_for_ever, ctx, tool[:128])
        try:
            result.append(await work())
        except Exception as error:  # noqa: BLE001 - raised again below, outside the group that would wrap it
            failed = error
        tasks.cancel_scope.cancel()
    if failed is not None:
        raise failed
    return result[0]


async def _tell_for_ever(ctx: ServerRequestContext[Any, Any], tool: str) -> None:
    begun = anyio.current_time()
    while True:
        await anyio.sleep(EVERY_S)
        seconds = round(anyio.current_time() - begun, 3)
        await ctx.session.report_progress(seconds, message=f"{tool}: {seconds:.0f} s, not answered yet")
