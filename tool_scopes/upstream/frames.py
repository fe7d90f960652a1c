"""What goes over the wire between a session and its upstream, in both directions.

Outwards: one frame for each call, and whether it left. Inwards: answers, and as few other messages as an
honest upstream sends. Both transports put their streams into these two wrappers, so the rules hold whatever
the SDK does above them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Protocol, Self

import anyio
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification, JSONRPCRequest

from tool_scopes.upstream.limits import Limits


class Source(Protocol):
    """Where a transport's messages come from."""

    async def receive(self) -> SessionMessage | Exception:
        """The next message. Raises anyio.EndOfStream at the end."""
        ...

    async def aclose(self) -> None:
        """Take no more messages from it."""
        ...


class Sink(Protocol):
    """Where a transport's messages go."""

    async def send(self, item: SessionMessage, /) -> None:
        """Send a message, or raise."""
        ...

    async def aclose(self) -> None:
        """Send no more messages to it."""
        ...


Lost = Callable[[str], None]
"""Told once why a connection cannot be used any more."""

Heard = Callable[[str | None], None]
"""Told of each message that came: its method, or None for an answer."""


class SecondFrame(RuntimeError):
    """Something tried to send a call again. It is a bug, and the second frame did not leave."""


class Departure:
    """Whether the one frame of one call left this process, and what the transport knows about its trouble."""

    __slots__ = ("left", "trouble", "used")

    def __init__(self) -> None:
        self.used = False
        self.left = False
        self.trouble: str | None = None

    def leave(self) -> None:
        """The frame goes out now. Raises SecondFrame the second time."""
        if self.used:
            raise SecondFrame("a call is one frame; the second was held back")
        self.used = self.left = True


departure: ContextVar[Departure | None] = ContextVar("departure", default=None)
"""The call whose frame is being sent; the SDK runs its transports in the context of the sender."""


class Outwards:
    """The stream to an upstream: holds back a second frame of a call, and every cancellation.

    A cancellation would ask the upstream to stop in the middle of an effect and would lose a late outcome.
    """

    def __init__(self, inner: Sink, *, not_taken: tuple[type[Exception], ...]) -> None:
        """`not_taken` are the errors of `inner` after which it is certain that nothing was sent."""
        self._inner = inner
        self._not_taken = not_taken

    async def send(self, item: SessionMessage, /) -> None:
        """Hand a message to the transport.

        Raises SecondFrame, or the stream's own errors when it is closed.
        """
        message = item.message
        if isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            return
        call = departure.get()
        if call is None or not isinstance(message, JSONRPCRequest) or message.method != "tools/call":
            await self._inner.send(item)
            return
        call.leave()
        try:
            await self._inner.send(item)
        except self._not_taken:
            call.left = False
            raise

    async def aclose(self) -> None:
        """Close the transport's stream."""
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.aclose()


class Inwards:
    """The stream from an upstream: answers pass, requests pass for the SDK to decline, notifications do not.

    Whatever nobody asked for is counted, and an upstream that floods is cut off. `heard` hears of it all.
    """

    def __init__(self, inner: Source, limits: Limits, lost: Lost, heard: Heard) -> None:
        self._inner = inner
        self._lost = lost
        self._heard = heard
        self._unasked = Allowance(limits.unasked_burst, limits.unasked_per_second)

    async def receive(self) -> SessionMessage | Exception:
        """The next message for the session. Raises anyio.EndOfStream at the end, also after a flood."""
        while True:
            item = await self._inner.receive()
            message = item.message if isinstance(item, SessionMessage) else None
            asked = message is not None and not isinstance(message, JSONRPCRequest | JSONRPCNotification)
            if not asked and not self._unasked.take(anyio.current_time()):
                self._lost("it floods: too many messages that nobody asked for")
                raise anyio.EndOfStream
            self._heard(message.method if isinstance(message, JSONRPCRequest | JSONRPCNotification) else None)
            if asked or isinstance(message, JSONRPCRequest):
                return item

    async def aclose(self) -> None:
        """Close the transport's stream."""
        await self._inner.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.aclose()


class Allowance:
    """A token bucket: `burst` at once, growing again by `per_second`. Time is passed in, in seconds."""

    def __init__(self, burst: int, per_second: float) -> None:
        self._burst, self._per_second = float(burst), per_second
        self._left, self._at = float(burst), 0.0

    def take(self, now_s: float) -> bool:
        """Take one, or False when none is left."""
        self._left = min(self._burst, self._left + (now_s - self._at) * self._per_second)
        self._at = now_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
