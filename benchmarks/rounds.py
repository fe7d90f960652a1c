"""Statistics of alternating rounds.

Subjects take turns, round after round, so that a slow minute of the machine falls on all of them. Each round
is reduced to one number, and the median over the rounds is what is compared: neither a bad round nor a few
bad calls can move it far.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from statistics import median
from typing import Generic, TypeVar

Subject = TypeVar("Subject", bound=Hashable)


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie, between neighbours by proportion.

    Raises ValueError when there are none.
    """
    if not values:
        raise ValueError("there is no quantile of nothing")
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def in_turn(subjects: Sequence[Subject], number: int) -> list[Subject]:
    """The subjects in their order for a round: each begins with another, so that none always goes first."""
    first = number % len(subjects)
    return [*subjects[first:], *subjects[:first]]


class Rounds(Generic[Subject]):
    """The timings of every subject, kept by round."""

    def __init__(self) -> None:
        self._rounds: defaultdict[Subject, list[Sequence[float]]] = defaultdict(list)

    def add(self, subject: Subject, timings: Sequence[float]) -> None:
        """Keep one round's timings of a subject."""
        self._rounds[subject].append(timings)

    def typical(self, subject: Subject, share: float = 0.5) -> float:
        """The median, over the rounds, of each round's quantile."""
        return median(quantile(timings, share) for timings in self._rounds[subject])
