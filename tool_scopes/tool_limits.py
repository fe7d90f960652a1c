"""The limits of single tools, as the catalogue says them: how often, and how many calls at once.

They guard what stands behind a tool. Each server process counts for itself: they are no matter of the gate,
and no statement of the ledger is spent on them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from policies.codes import Denial
from tool_scopes.catalogue import View
from tool_scopes.pacing import Pacer, Rate, TooSoon


@dataclass(slots=True)
class ToolLimits:
    """How busy the tools are just now. `clock` counts seconds."""

    clock: Callable[[], float] = monotonic
    _pacer: Pacer = field(default_factory=Pacer)
    _under_way: Counter[str] = field(default_factory=Counter[str])

    def begin(self, view: View) -> Denial | None:
        """Count a call of `view` in, unless it is one too many. What was counted in must be ended."""
        if view.at_once is not None and self._under_way[view.name] >= view.at_once:
            return _limited(view, f"{view.at_once} calls are under way", 1)
        if view.per_second is not None:
            turn = self._pacer.take(view.name, Rate(view.per_second), self.clock())
            if isinstance(turn, TooSoon):
                return _limited(view, f"{view.per_second} a second are allowed", turn.retry_after_s)
        self._under_way[view.name] += 1
        return None

    def end(self, view: View) -> None:
        """A call that was counted in is over."""
        self._under_way[view.name] -= 1


def _limited(view: View, why: str, retry_after_s: float) -> Denial:
    reason = f"{view.name} is at its limit: {why}"
    return Denial("rate_limited", reason=reason, detail={"retry_after_s": max(1, math.ceil(retry_after_s))})
