"""Who may come in just now: limits for each agent and tenant, and fairness among agents.

An agent that works alone may use the whole server, up to a generous limit. While others are at work too, an
agent that asks for several things at once has its share a second, and what comes faster waits its turn; so a
flood by one leaves the others' answers about as quick as they were. Whoever awaits each answer before asking
again is never held back. Only what would wait too long, or is one too many at once, is answered 429 with
`Retry-After`; that costs no turn, so nobody is locked out for having asked.

Each server process counts for itself, in memory.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

import anyio

from policies.principals import Agent
from server.settings import Settings
from tool_scopes.pacing import Pacer, Rate, TooSoon

LONGEST_WAIT_S: Final = 2.0
"""A request waits at most so long for its turn; what would wait longer is refused."""

AT_WORK_S: Final = 1.0
"""An agent whose last request came within so many seconds is at work."""

_SHARE_BURST_S: Final = 0.25
_MOST_AGENTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class TrafficLimits:
    """Requests a second and at once. `agent_share` holds while other agents are at work too, for an agent
    that has several requests under way.
    """

    agent_rate: float = 1_000.0
    agent_share: float = 100.0
    agent_at_once: int = 128
    tenant_rate: float = 2_000.0
    tenant_at_once: int = 512


class Refusal(Exception):
    """A request that is one too many; come again after so many seconds."""

    def __init__(self, limit: str, retry_after_s: float) -> None:
        super().__init__(f"the limit {limit} is reached")
        self.limit = limit
        self.retry_after_s = max(1, math.ceil(retry_after_s))


@dataclass(slots=True)
class Traffic:
    """What is under way just now. `clock` counts seconds; `sleep` waits some."""

    limits: TrafficLimits = TrafficLimits()
    clock: Callable[[], float] = monotonic
    _pacer: Pacer = field(default_factory=Pacer)
    _under_way: Counter[str] = field(default_factory=Counter[str])
    _last_seen: OrderedDict[str, float] = field(default_factory=OrderedDict[str, float])

    @asynccontextmanager
    async def turn(self, agent: Agent) -> AsyncGenerator[None]:
        """Let a request of `agent` in for the length of the block, in its turn. Raises `Refusal`."""
        names = (f"agent:{agent.id}", f"tenant:{agent.tenant}")
        wait_s = self._arrive(agent.id, *names)
        for name in names:
            self._under_way[name] += 1
        try:
            if wait_s > 0:
                await anyio.sleep(wait_s)
            yield
        finally:
            for name in names:
                self._under_way[name] -= 1
                if not self._under_way[name]:
                    del self._under_way[name]

    def _arrive(self, agent: str, agent_name: str, tenant_name: str) -> float:
        """How long this request waits for its turn, in seconds."""
        limits, now_s = self.limits, self.clock()
        if self._under_way[agent_name] >= limits.agent_at_once:
            raise Refusal("agent_at_once", 1)
        if self._under_way[tenant_name] >= limits.tenant_at_once:
            raise Refusal("tenant_at_once", 1)
        shared = self._others_at_work(agent, now_s) and self._under_way[agent_name] > 0
        rate = Rate(limits.agent_share, _SHARE_BURST_S) if shared else Rate(limits.agent_rate)
        own = self._pacer.take(agent_name, rate, now_s, LONGEST_WAIT_S)
        if isinstance(own, TooSoon):
            raise Refusal("agent_share" if shared else "agent_rate", own.retry_after_s)
        # After the agent's own turn: what it was refused does not count against its tenant.
        tenant = self._pacer.take(tenant_name, Rate(limits.tenant_rate), now_s, LONGEST_WAIT_S)
        if isinstance(tenant, TooSoon):
            raise Refusal("tenant_rate", tenant.retry_after_s)
        return max(own.wait_s, tenant.wait_s)

    def _others_at_work(self, agent: str, now_s: float) -> bool:
        self._last_seen[agent] = now_s
        self._last_seen.move_to_end(agent)
        if len(self._last_seen) > _MOST_AGENTS:
            self._last_seen.popitem(last=False)
        newest = reversed(self._last_seen)
        next(newest)
        other = next(newest, None)
        return other is not None and now_s - self._last_seen[other] < AT_WORK_S


def traffic_of(settings: Settings) -> Traffic:
    """Nothing under way yet, under the limits of the settings."""
    return Traffic(
        TrafficLimits(
            agent_rate=settings.agent_rate,
            agent_share=settings.agent_share,
            agent_at_once=settings.agent_at_once,
            tenant_rate=settings.tenant_rate,
            tenant_at_once=settings.tenant_at_once,
        )
    )
