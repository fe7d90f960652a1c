"""One upstream: a long-lived session that many calls share, started again when it ends.

The session lives in a task of its own, so that an upstream's end cancels nobody else. Its tools are looked at
when it is ready and again from time to time, when it says that they changed, and when it leaves a call
unanswered. A tool that is not as it was accepted is not called, whoever thinks that it is in scope.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.abc
from mcp import Client, MCPError
from mcp.client import Transport
from mcp.client.session import ClientSession
from mcp_types import (
    CONNECTION_CLOSED,
    HEADER_MISMATCH,
    PARSE_ERROR,
    REQUEST_TIMEOUT,
    UNSUPPORTED_PROTOCOL_VERSION,
    CallToolRequest,
    CallToolRequestParams,
    Implementation,
)
from pydantic import RootModel, ValidationError

from ledger.canonical import JsonObject
from tool_scopes.upstream.answers import Unusable, error_result, read_result
from tool_scopes.upstream.frames import Departure, Lost, departure
from tool_scopes.upstream.limits import DEFAULT, Limits
from tool_scopes.upstream.listing import NOTHING, Listing, list_tools
from tool_scopes.upstream.pipe import over_pipe
from tool_scopes.upstream.servers import Server, StdioServer, Surroundings
from tool_scopes.upstream.tools import UpstreamFailure, UpstreamResult, UpstreamTool, UpstreamUnavailable
from tool_scopes.upstream.web import over_http

logger = logging.getLogger(__name__)

_CLIENT = Implementation(name="bailiwick", version="1")
# Errors that the SDK or a transport makes, or that mean that the two sides do not understand each other.
_NO_ANSWER = frozenset(
    {CONNECTION_CLOSED, REQUEST_TIMEOUT, PARSE_ERROR, HEADER_MISMATCH, UNSUPPORTED_PROTOCOL_VERSION}
)
_CLOSED = "Connection closed"  # the SDK's message to everybody who waits when a connection ends
_CHANGED = "notifications/tools/list_changed"

Accepts = Callable[[UpstreamTool], bool]
"""Whether a tool is as an admin accepted it."""
Seen = Callable[["Upstream"], Awaitable[None]]
"""Told when an upstream's tools were listed for the first time, or are not what they were."""


class _Raw(RootModel[dict[str, Any]]):
    """A result as it came. The session has checked its shape by then; it is not parsed a second time."""


class Upstream:
    """One upstream server, its tools, and the way to call them. `run` has to be running in a task."""

    def __init__(
        self,
        name: str,
        server: Server,
        surroundings: Surroundings,
        *,
        accepts: Accepts,
        seen: Seen | None = None,
        log: Path | None = None,
        limits: Limits = DEFAULT,
    ) -> None:
        self.name = name
        self.endpoint = server.endpoint
        self._server = server
        self._surroundings = surroundings
        self._accepts = accepts
        self._seen = seen
        self._log = log
        self._limits = limits
        self._session: ClientSession | None = None
        self._listing: Listing | None = None
        self._as_accepted: frozenset[str] = frozenset()
        self._trouble = "it has not been started"
        self._look = (
            anyio.Event()
        )  # set when there is a reason to look at the tools, or the connection is lost
        self._heard = 0
        self._under_way = 0
        self._silent = False  # it left a call unanswered and has said nothing at all since that call was sent

    @property
    def ready(self) -> bool:
        """Whether a call can be sent now."""
        return self._session is not None

    @property
    def failure(self) -> str | None:
        """Why no call can be sent now, as one sentence; None when it is ready."""
        if self.ready:
            return None
        prints = self._log is not None and isinstance(self._server, StdioServer)
        hint = f" (its own messages are in {self._log})" if prints else ""
        return f"upstream {self.name} is not running: {self._trouble}{hint}"

    @property
    def tools(self) -> dict[str, UpstreamTool]:
        """The tools as they were last listed, by name; empty before the upstream was first ready."""
        return dict(self._listing.tools) if self._listing else {}

    @property
    def refused(self) -> dict[str, str]:
        """Listed tools that cannot be used, and why."""
        return dict(self._listing.refused) if self._listing else {}

    async def call(self, tool: str, arguments: JsonObject, timeout_s: float) -> UpstreamResult:
        """Send one `tools/call` frame and give back what the upstream answered.

        Nothing is sent twice, and nothing that the upstream asks back is answered. An error that the
        upstream itself answers is a result with `is_error`. Raises UpstreamFailure for everything that is
        no usable answer.
        """
        session, listing = self._session, self._listing
        if session is None or listing is None:
            raise UpstreamFailure(f"upstream {self.name} is not running: {self._trouble}", sent=False)
        if tool not in listing.tools:
            raise UpstreamFailure(f"upstream {self.name} offers no tool {tool}", sent=False)
        if tool not in self._as_accepted:
            raise UpstreamFailure(f"{tool} of upstream {self.name} is not as it was accepted", sent=False)
        frame = Departure()
        token = departure.set(frame)
        self._under_way += 1
        try:
            raw = await self._send(session, frame, tool, arguments, timeout_s)
        finally:
            self._under_way -= 1
            departure.reset(token)
        if isinstance(raw, UpstreamResult):
            return raw
        try:
            return read_result(raw, listing.outputs.get(tool), self._limits.result_bytes)
        except Unusable as error:
            raise UpstreamFailure(f"upstream {self.name} answered {error}", sent=True) from None

    async def _send(
        self, session: ClientSession, frame: Departure, tool: str, arguments: JsonObject, timeout_s: float
    ) -> JsonObject | UpstreamResult:
        request = CallToolRequest(params=CallToolRequestParams(name=tool, arguments=arguments))
        heard = self._heard
        try:
            with anyio.fail_after(timeout_s):
                # Not `call_tool`: it may list the tools again, and the client's own one sends calls again.
                return (await session.send_request(request, _Raw)).root
        except TimeoutError:
            why = f"did not answer within {timeout_s:g} s"
            self._silent = self._heard == heard
            self._look.set()
        except MCPError as error:
            code, message = error.error.code, error.error.message
            if frame.trouble is None and code not in _NO_ANSWER:
                return error_result(message)
            # What the transport knows is more than the SDK's word for it.
            known = frame.trouble or (self._trouble if message == _CLOSED else message[:300])
            why = f"gave no answer: {known}"
        except ValidationError:
            why = "answered with what is no tool result"
        except Exception as error:
            # One that escaped would hide that a frame may have left.
            logger.exception("a call to upstream %s failed in an unforeseen way", self.name)
            why = f"could not be called ({type(error).__name__})"
        raise UpstreamFailure(f"upstream {self.name} {why}", sent=frame.left)

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keep a session open until cancelled.

        `task_status` hears when the first attempt came to something.
        """
        unheard = [task_status.started]

        def first_attempt_is_over() -> None:
            while unheard:
                unheard.pop()()

        attempt, pauses = 0, self._limits.restart_s
        while True:
            begun = anyio.current_time()
            try:
                await self._serve(first_attempt_is_over)
            finally:
                self._session = None
            logger.info("upstream %s is not running: %s", self.name, self._trouble)
            first_attempt_is_over()
            if anyio.current_time() - begun > pauses[-1]:
                attempt = 0
            await anyio.sleep(pauses[min(attempt, len(pauses) - 1)])
            attempt += 1

    async def _serve(self, ready: Callable[[], None]) -> None:
        """One session from its start to its end, whatever ends it; `_trouble` says what did."""
        over = anyio.Event()
        self._silent = False

        def lost(reason: str) -> None:
            if not over.is_set():
                self._trouble = reason
                self._session = None
                over.set()
                self._look.set()

        late = anyio.current_time() + self._limits.start_s
        with anyio.CancelScope(deadline=late) as start, ExitStack() as files:
            try:
                transport = self._transport(files, lost)
                async with Client(transport, mode="auto", cache=None, client_info=_CLIENT) as client:
                    try:
                        await self._take_over(await list_tools(client.session, self._limits, self._known))
                    except Exception as error:  # noqa: BLE001 - whatever an upstream lists ends here
                        lost(_sentence(error))
                    else:
                        start.deadline = math.inf
                        self._session = client.session
                        ready()
                    await self._watch(client.session, over, lost)
            except Exception as error:  # noqa: BLE001 - whatever an upstream does costs nobody else anything
                lost(_sentence(error))
        if start.cancelled_caught:
            self._trouble = f"it was not ready within {self._limits.start_s:g} s"

    async def _watch(self, session: ClientSession, over: anyio.Event, lost: Lost) -> None:
        """Look at the tools again and again until the session is over."""
        while not over.is_set():
            with anyio.move_on_after(self._limits.look_again_s):
                await self._look.wait()
            self._look = anyio.Event()
            if not over.is_set():
                await self._look_again(session, lost)
            with anyio.move_on_after(self._limits.look_pause_s):
                await over.wait()

    async def _look_again(self, session: ClientSession, lost: Lost) -> None:
        """A look that costs no call: while one is under way, only an upstream that hangs is given up."""
        try:
            with anyio.fail_after(self._limits.look_s):
                listing = await list_tools(session, self._limits, self._known)
            await self._take_over(listing)
        except TimeoutError:
            if self._silent or not self._under_way:
                lost("it does not answer any more")
        except Exception as error:  # noqa: BLE001 - whatever an upstream lists ends here
            if not self._under_way:
                lost(_sentence(error))
            elif not isinstance(error, MCPError):
                # It has a list, of which nothing can be used.
                await self._take_over(NOTHING)

    def _hear(self, method: str | None) -> None:
        self._heard += 1
        self._silent = False
        if method == _CHANGED:
            self._look.set()

    def _transport(self, files: ExitStack, lost: Lost) -> Transport:
        server = self._server.filled(self._surroundings)
        if not isinstance(server, StdioServer):
            return over_http(server.url, server.headers, self._limits, lost, self._hear)
        errors = None
        if self._log is not None:
            # What a program prints about itself may hold secrets, so only this account may read it.
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            errors = files.enter_context(os.fdopen(os.open(self._log, flags, 0o600), "wb", buffering=0))
        return over_pipe(server.command, server.env, server.cwd, errors, self._limits, lost, self._hear)

    @property
    def _known(self) -> Listing:
        return self._listing or NOTHING

    async def _take_over(self, listing: Listing) -> None:
        """From now on these are the tools; what is not as it was accepted is not called from now on."""
        before, self._listing = self._listing, listing
        if before is not None and before.tools == listing.tools:
            return
        self._as_accepted = frozenset(name for name, tool in listing.tools.items() if self._accepts(tool))
        if self._seen is not None:
            await self._seen(self)


def _sentence(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return _sentence(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])
    if isinstance(error, UpstreamUnavailable):
        return str(error)
    if isinstance(error, MCPError):
        return f"it answered the greeting with an error: {error.error.message[:300]}"
    if isinstance(error, OSError):
        return (
            f"it cannot be started: {error.strerror or type(error).__name__} ({error.filename or 'no file'})"
        )
    return f"it does not follow the protocol ({type(error).__name__})"
