"""How often something may happen: a token bucket without a bucket (the generic cell rate algorithm).

For each name one number is kept: when its next turn would be, were everything spread evenly. Pure but for
that number; time comes in, in seconds by any clock that never goes back.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

_MOST_NAMES: Final = 100_000
"""Beyond so many names the one that was longest silent is forgotten: its bucket is full again anyway."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many turns a second, of which those of `burst_s` seconds may come at once."""

    per_second: float
    burst_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn that was taken: wait so many seconds, which may be none, and go on."""

    wait_s: float


@dataclass(frozen=True, slots=True)
class TooSoon:
    """No turn was taken; after so many seconds there may be one."""

    retry_after_s: float


@dataclass(slots=True)
class Pacer:
    """The turns of many names."""

    _next: OrderedDict[str, float] = field(default_factory=OrderedDict[str, float])

    def take(self, name: str, rate: Rate, now_s: float, longest_wait_s: float = 0.0) -> Turn | TooSoon:
        """Take a turn for `name` if it comes within `longest_wait_s`. A turn that is too far off costs
        nothing, so whoever keeps asking is not locked out for it.
        """
        even = max(self._next.get(name, now_s), now_s)
        wait_s = max(0.0, even + 1.0 / rate.per_second - rate.burst_s - now_s)
        # One turn is always possible, also where a burst is shorter than the time between two.
        wait_s = min(wait_s, even - now_s)
        if wait_s > longest_wait_s:
            return TooSoon(wait_s - longest_wait_s)
        self._next[name] = even + 1.0 / rate.per_second
        self._next.move_to_end(name)
        if len(self._next) > _MOST_NAMES:
            self._next.popitem(last=False)
        return Turn(wait_s)
