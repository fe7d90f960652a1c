"""How long and how much the HTTP server listens before it has a whole request.

uvicorn waits for ever for the rest of a request, and keeps a head of any length in memory. Nobody has shown
a credential by then, so whoever can connect could hold on to connections and memory. Only the waiting is
bounded here: a request that has arrived takes as long as it takes.
"""

from __future__ import annotations

from asyncio import Transport
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

REQUEST_S: Final = 60.0
"""How long a connection may take to bring a whole request, in seconds."""

MAX_HEAD_BYTES: Final = 65_536
"""The longest head of a request (its first line and headers), in bytes."""

_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol, with an end to its patience."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._in_head, self._head, self._heads = True, 0, 0
        self._due: Any = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """From now on the first request is waited for."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; a head that does not end is refused."""
        in_head, heads = self._in_head, self._heads
        super().data_received(data)
        if in_head and self._in_head and heads == self._heads:
            self._head += len(data)
            if self._head > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.transport.write(_TOO_LARGE)
                self.transport.close()

    def on_message_begin(self) -> None:
        """A further request of this connection begins."""
        super().on_message_begin()
        if self._due is None:
            self._wait()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head, self._head = False, 0
        self._heads += 1
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._in_head = True
        self._arrived()
        super().on_message_complete()

    def _wait(self) -> None:
        self._due = self.loop.call_later(REQUEST_S, self.transport.close)

    def _arrived(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
