"""Telling those who listen what changed, from the log: every server of one ledger sees the same.

A listener is told of its own run and of resources that it may read at that moment, and of nothing else. While
nobody listens, nothing is read.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import anyio
from anyio.abc import TaskGroup
from mcp.shared.subscriptions import (
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    ToolsListChanged,
)

from ledger.entries import StoredEntry
from ledger.errors import LedgerError
from policies.codes import Denial
from server.resources import Named
from tool_scopes.house import Caller, House
from tool_scopes.standing import stand

logger = logging.getLogger(__name__)

EVERY_S: Final = 0.25
"""How often the log is looked at while somebody listens, in seconds."""

SEND_S: Final = 5.0
"""How long one notification to a session may take, in seconds."""

_MOVES: Final = frozenset({"step.entered", "run.closed", "checkpoint.opened", "checkpoint.resolved"})
_JUDGES: Final = frozenset(
    {"approval.requested", "approval.judged", "approval.revoked", "execution.begun", "execution.settled"}
)
_WITHDRAWS: Final = frozenset({"version.superseded", "version.retired"})
_ENDS: Final = "agent_key.revoked"
_KINDS: Final = (*_MOVES, *_JUDGES, *_WITHDRAWS, "bundle.served", _ENDS)


@dataclass(frozen=True, slots=True, eq=False)
class Listener:
    """Who listens, to which resources (the URI as it was given, and what it names), and how it is told.

    `end` is called once when the credential is no longer good; `until_s` is when a pass is over for certain,
    on anyio's clock.
    """

    caller: Caller
    resources: tuple[tuple[str, Named], ...]
    tell: Callable[[ServerEvent], None]
    end: Callable[[], None]
    until_s: float

    @property
    def in_vain(self) -> bool:
        """Whether nothing can ever be told: the desk's lists never change."""
        return self.caller.run is None and not self.resources


class Announcer:
    """The listeners of this process, and the task that reads the log for them."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._listeners: set[Listener] = set()
        self._after = 0
        self._woken = anyio.Event()
        self._tasks: TaskGroup | None = None

    def add(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` of what happens from now on; gives back how to stop that."""
        if not self._listeners:
            self._after = self._end()
        self._listeners.add(listener)
        self._woken.set()
        return lambda: self._listeners.discard(listener)

    def close(self) -> None:
        """End every stream in order, so that a server which stops waits for none."""
        for listener in list(self._listeners):
            self._end_listener(listener)

    def send(self, sending: Callable[[], Awaitable[None]]) -> None:
        """Send to a session that may be slow or gone, beside everything else and not for long."""
        if self._tasks is not None:
            self._tasks.start_soon(_patiently, sending)

    async def run(self) -> None:
        """Read the log for as long as somebody listens; for ever."""
        async with anyio.create_task_group() as self._tasks:
            while True:
                if not self._listeners:
                    self._woken = anyio.Event()
                    await self._woken.wait()
                await anyio.sleep(EVERY_S)
                try:
                    self._look()
                except LedgerError as error:
                    logger.error("the log could not be read for those who listen: %s", error)

    def _look(self) -> None:
        for listener in [one for one in self._listeners if one.until_s < anyio.current_time()]:
            self._end_listener(listener)
        end = self._end()
        if end <= self._after:
            return
        entries = list(self._house.ledger.entries(after=self._after, kinds=_KINDS))
        self._after = max([end, *(entry.seq for entry in entries)])
        for listener in list(self._listeners):
            if any(_is_revoked(entry, listener.caller) for entry in entries):
                self._end_listener(listener)
                continue
            for event in dict.fromkeys(event for one in entries for event in self._events(one, listener)):
                listener.tell(event)

    def _events(self, entry: StoredEntry, listener: Listener) -> list[ServerEvent]:
        caller = listener.caller
        if entry.tenant != caller.agent.tenant:
            return []
        found: list[ServerEvent] = []
        if caller.run is not None and entry.run == caller.run:
            if entry.kind in _MOVES:
                found += [ToolsListChanged(), PromptsListChanged(), ResourcesListChanged()]
            elif entry.kind in ("bundle.served", "approval.requested"):
                found.append(ResourcesListChanged())
        for uri, named in listener.resources:
            if _concerns(entry, caller, named) and self._may_know(caller, named):
                found.append(ResourceUpdated(uri))
        return found

    def _may_know(self, caller: Caller, named: Named) -> bool:
        """The scope's own answer, at this moment. A run of the agent's that is over may still be told of."""
        found = self._house.ledger.read(lambda reading: stand(self._house, reading, caller, run_of(named)))
        if not isinstance(found, Denial):
            return True
        return found.code == "step_closed" and caller.run is None and caller.step is None

    def _end_listener(self, listener: Listener) -> None:
        self._listeners.discard(listener)
        listener.end()

    def _end(self) -> int:
        head = self._house.ledger.head()
        return 0 if head is None else head.size


def run_of(named: Named) -> str | None:
    """The run that a URI names; None where the credential's own is meant."""
    return named.id if named.scheme == "run" else named.run_id


def _concerns(entry: StoredEntry, caller: Caller, named: Named) -> bool:
    """Whether what a URI names is another since this entry. A bundle never is: its bytes are for ever."""
    if named.scheme == "evidence":
        version = f"{entry.body.get('source')}@{entry.body.get('version')}"
        return entry.kind in _WITHDRAWS and named.id.partition(":")[0] == version
    if entry.run is None or entry.run != (run_of(named) or caller.run):
        return False
    if named.scheme == "run":
        return entry.kind in _MOVES
    return (
        named.scheme == "approval"
        and entry.kind in _JUDGES
        and entry.body.get("request", named.id) == named.id
    )


def _is_revoked(entry: StoredEntry, caller: Caller) -> bool:
    return entry.kind == _ENDS and entry.body.get("agent") == caller.agent.id


async def _patiently(sending: Callable[[], Awaitable[None]]) -> None:
    with anyio.move_on_after(SEND_S):
        try:
            await sending()
        except Exception as error:  # noqa: BLE001 - a listener that cannot be told costs nobody else anything
            logger.info("a session could not be told of a change (%s)", type(error).__name__)
