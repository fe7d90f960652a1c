"""Subscriptions, gated by scope: `subscriptions/listen` in the modern era, and in the legacy one
`resources/subscribe` and the stream of a session.

Only what the credential may read is subscribed to: other URIs are not acknowledged, as if they did not exist.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import anyio
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import ListenHandler
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ServerEvent, event_to_notification
from mcp_types import (
    INTERNAL_ERROR,
    EmptyResult,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from server import resources
from server.announcing import Announcer, Listener, run_of
from tool_scopes.house import Caller, House
from tool_scopes.own_things import own_bundles, own_requests, own_runs, was_quoted_to

logger = logging.getLogger(__name__)

MOST_STREAMS: Final = 1_024
MOST_OF_AGENT: Final = 32
"""How many streams one agent may have open; a flood by one leaves room for the others."""
MOST_URIS: Final = 100
_BACKLOG: Final = 256


class Subscriptions:
    """Who listens through this process."""

    def __init__(self, house: House, announcer: Announcer) -> None:
        self._house = house
        self._announcer = announcer
        self._streams: dict[object, str] = {}
        self._sessions: dict[int, _Session] = {}

    async def listen(
        self, ctx: ServerRequestContext[Any, Any], caller: Caller, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        """Serve one stream of the modern era until its client closes it or its credential is over."""
        asked = params.notifications
        found = self._readable(caller, list(asked.resource_subscriptions or ()))
        self._make_room(caller)
        bus = _Bus(self._announcer, caller, found, self._until(caller))
        handler = ListenHandler(bus, max_buffered_events=_BACKLOG)
        bus.end = handler.close
        uris = [uri for uri, _ in found] or None
        honoured = asked.model_copy(update={"resource_subscriptions": uris})
        self._streams[handler] = caller.agent.id
        try:
            return await handler(ctx, params.model_copy(update={"notifications": honoured}))
        finally:
            del self._streams[handler]

    async def subscribe(
        self, ctx: ServerRequestContext[Any, Any], caller: Caller, params: SubscribeRequestParams
    ) -> EmptyResult:
        """The legacy era's: one URI, told of on the session's own stream."""
        session = self._session(ctx, caller)
        found = self._readable(caller, [params.uri])
        if not found or len(session.uris) >= MOST_URIS:
            raise resources.unknown(params.uri)
        session.follow({**session.uris, **dict(found)})
        return EmptyResult()

    async def unsubscribe(
        self, ctx: ServerRequestContext[Any, Any], caller: Caller, params: UnsubscribeRequestParams
    ) -> EmptyResult:
        """The end of that. What was never subscribed to is no error: it is not listened to now."""
        session = self._session(ctx, caller)
        session.follow({uri: named for uri, named in session.uris.items() if uri != params.uri})
        return EmptyResult()

    async def greeted(self, ctx: ServerRequestContext[Any, Any], caller: Caller) -> None:
        """A legacy session begins: whoever came with a pass is told when its lists change."""
        if caller.run is not None:
            self._session(ctx, caller)

    def _session(self, ctx: ServerRequestContext[Any, Any], caller: Caller) -> _Session:
        # The SDK gives a request its session anew each time; what lasts is the connection behind it.
        connection = ctx.session._connection  # pyright: ignore[reportPrivateUsage]
        known = self._sessions.get(id(connection))
        if known is None:
            known = _Session(self._announcer, ctx, caller, self._until(caller))
            self._sessions[id(connection)] = known
            connection.exit_stack.callback(self._forget, id(connection))
        return known

    def _forget(self, key: int) -> None:
        self._sessions.pop(key).stop()

    def _readable(self, caller: Caller, uris: list[str]) -> tuple[tuple[str, resources.Named], ...]:
        """Those of the URIs that name something which this caller could read now."""
        named = [(uri, resources.parse(uri)) for uri in dict.fromkeys(uris[:MOST_URIS])]
        return tuple((uri, one) for uri, one in named if one is not None and self._is_there(caller, one))

    def _is_there(self, caller: Caller, named: resources.Named) -> bool:
        run_id = run_of(named)
        if named.scheme == "evidence":
            return was_quoted_to(self._house, caller, run_id, named.id)
        if named.scheme == "bundle":
            return named.id in own_bundles(self._house, caller, run_id)
        if named.scheme == "approval":
            return named.id in own_requests(self._house, caller, run_id)
        return named.id in self._house.ledger.read(lambda reading: own_runs(reading, caller))

    def _make_room(self, caller: Caller) -> None:
        own = sum(agent == caller.agent.id for agent in self._streams.values())
        if len(self._streams) >= MOST_STREAMS or own >= MOST_OF_AGENT:
            raise MCPError(INTERNAL_ERROR, "Too many open subscriptions; close one of yours first")

    def _until(self, caller: Caller) -> float:
        if caller.run is None:
            return math.inf
        return anyio.current_time() + self._house.pass_lifetime_ms / 1000


class _Bus:
    """The announcer as the SDK's handler wants it: one listener, narrowed to what its caller may know."""

    def __init__(
        self,
        announcer: Announcer,
        caller: Caller,
        found: tuple[tuple[str, resources.Named], ...],
        until_s: float,
    ) -> None:
        self._announcer = announcer
        self._listening = (caller, found)
        self._until_s = until_s
        self.end: Callable[[], None] = _nothing
        """Ends the handler's stream."""

    async def publish(self, event: ServerEvent) -> None:
        """Nothing is published here: events come from the log."""
        raise NotImplementedError(f"{event} does not come from the log")

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Let the announcer tell the handler's stream."""
        caller, found = self._listening
        return self._announcer.add(Listener(caller, found, listener, self.end, self._until_s))


class _Session:
    """A legacy session that listens. What it is told goes out by a task of its own connection's loop."""

    def __init__(
        self, announcer: Announcer, ctx: ServerRequestContext[Any, Any], caller: Caller, until_s: float
    ) -> None:
        self.uris: dict[str, resources.Named] = {}
        self._announcer, self._session = announcer, ctx.session
        self._caller, self._until_s = caller, until_s
        self._stop: Callable[[], None] = _nothing
        self.follow({})

    def follow(self, uris: dict[str, resources.Named]) -> None:
        """Listen to these URIs from now on, and to the lists of the pass."""
        self.stop()
        self.uris = uris
        listener = Listener(self._caller, tuple(uris.items()), self._tell, _nothing, self._until_s)
        self._stop = _nothing if listener.in_vain else self._announcer.add(listener)

    def stop(self) -> None:
        """Listen to nothing more."""
        self._stop()
        self._stop = _nothing

    def _tell(self, event: ServerEvent) -> None:
        self._announcer.send(partial(self._session.send_notification, event_to_notification(event, {})))


def _nothing() -> None:
    return None
