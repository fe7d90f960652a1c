"""Selection: the smallest useful evidence, whole items only, within a budget of tokens.

Pinned items come first and the sides of contradictions next: both are in even where they exceed the budget,
because leaving them out would mislead. Then the found items in their order, as long as they fit; one that
does not fit is passed over, never cut. Items that say the same word for word are shown once, and the first
names the others. That happens after contradictions were found, and never to a side of one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from context_store.conflicts import Conflict
from context_store.items import Item
from context_store.provenance import ProvenanceId

COUNTER: Final = "estimate-1"
"""A third of a token for each ASCII character and half a token for each byte of the others, rounded up.

English prose has 4 to 5 characters a token in the vocabularies in use, and scripts of 3 bytes a character at
most 1.5 tokens a character, so this counts too many rather than too few; only dense strings such as base64
can exceed it, by about a third.
"""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something relevant that is not shown, and why: `budget`, `same_text`, or for a pin `not_in_force`. For
    admins only.
    """

    id: str
    why: str


@dataclass(frozen=True, slots=True)
class Selection:
    """What is shown, in order; what was left out; and how many tokens the quotes take."""

    items: tuple[Item, ...]
    left_out: tuple[LeftOut, ...]
    used: int


def estimate_tokens(text: str) -> int:
    """How many tokens a text takes at most, by the rule `estimate-1`."""
    size = len(text.encode())
    ascii_size = size if size == len(text) else sum(character < "\x80" for character in text)
    return -(-(2 * ascii_size + 3 * (size - ascii_size)) // 6)


def select(
    pinned: Sequence[Item], conflicts: Sequence[Conflict], found: Sequence[Item], budget: int
) -> Selection:
    """Choose and order the items of a bundle.

    `budget` counts the tokens of quotes; ids, titles and headings come on top.
    """
    sides = [side.item for conflict in conflicts for side in conflict.sides]
    chosen = _Chosen(frozenset(side.id for side in sides))
    for item in (*pinned, *sides):
        chosen.put(item)
    for item in found:
        chosen.put_if_it_fits(item, budget)
    return Selection(tuple(chosen.items), tuple(chosen.left_out), chosen.used)


class _Chosen:
    def __init__(self, sides: frozenset[ProvenanceId]) -> None:
        self.items: list[Item] = []
        self.left_out: list[LeftOut] = []
        self.used = 0
        self._sides = sides
        self._ids: set[ProvenanceId] = set()
        self._by_text: dict[str, int] = {}

    def put(self, item: Item) -> None:
        if not self._is_shown(item):
            self._add(item)

    def put_if_it_fits(self, item: Item, budget: int) -> None:
        if self._is_shown(item):
            return
        if self.used + estimate_tokens(item.quote) <= budget:
            self._add(item)
        else:
            self._ids.add(item.id)
            self.left_out.append(LeftOut(str(item.id), "budget"))

    def _add(self, item: Item) -> None:
        self._by_text.setdefault(item.says(), len(self.items))
        self._ids.add(item.id)
        self.items.append(item)
        self.used += estimate_tokens(item.quote)

    def _is_shown(self, item: Item) -> bool:
        """Whether the item is in already, by itself or by another that says the same."""
        if item.id in self._ids:
            return True
        twin = self._by_text.get(item.says())
        if twin is None or item.id in self._sides:
            return False
        self._ids.add(item.id)
        self.items[twin] = self.items[twin].with_also([item.id])
        self.left_out.append(LeftOut(str(item.id), "same_text"))
        return True
