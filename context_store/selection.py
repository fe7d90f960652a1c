"""Selection: the smallest useful evidence, whole sentences only, within a budget of tokens.

Pinned items come first and the sides of contradictions next: both are in even where they exceed the budget,
because leaving them out would mislead. Then the units of what was found, the most valuable first, as long as
they fit; one that does not fit is passed over, never cut. What was chosen of one passage is shown in its
order, and neighbours as one quote. Units that say the same are shown once, and the first names the others.
That happens after contradictions were found, and never to a side of one.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from context_store.conflicts import Conflict
from context_store.items import Item, Place, says
from context_store.provenance import ProvenanceId
from context_store.tokens import Counter
from context_store.units import RULE as UNITS_RULE
from context_store.units import Unit

RULE = f"select-1 {UNITS_RULE}"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something relevant that is not shown, and why: `budget`, `same_text`, `access` (the grant does not
    cover it), or for a pin `not_in_force`. For admins only.
    """

    id: str
    why: str


@dataclass(frozen=True, slots=True)
class Selection:
    """What is shown, in order; what was left out; how many tokens the quotes take; and whether anything that
    was found is among it.
    """

    items: tuple[Item, ...]
    left_out: tuple[LeftOut, ...]
    used: int
    answered: bool


def select(
    pinned: Sequence[Item],
    conflicts: Sequence[Conflict],
    found: Sequence[Unit],
    passages: Callable[[Place], Item],
    budget: int,
    counter: Counter,
) -> Selection:
    """Choose and order the items of a bundle. `found` comes in the order of its passages.

    `budget` counts the tokens of quotes; ids, titles and headings come on top.
    """
    sides = [side.item for conflict in conflicts for side in conflict.sides]
    chosen = _Chosen(frozenset(side.id for side in sides), passages, budget, counter)
    for item in (*pinned, *sides):
        chosen.put(item)
    rank = {place: number for number, place in enumerate(dict.fromkeys(unit.passage for unit in found))}
    for unit in sorted(found, key=lambda unit: (-unit.value, rank[unit.passage], unit.item.id)):
        chosen.put_if_it_fits(unit)
    return chosen.selection(sorted(rank, key=lambda place: rank[place]))


class _Chosen:
    def __init__(
        self,
        sides: frozenset[ProvenanceId],
        passages: Callable[[Place], Item],
        budget: int,
        counter: Counter,
    ) -> None:
        self._sides = sides
        self._passages = passages
        self._budget = budget
        self._count = counter.count
        self._firm: list[Item] = []
        self._units: defaultdict[Place, list[Item]] = defaultdict(list)
        self._sizes: dict[Place, int] = {}
        self._by_text: dict[str, ProvenanceId] = {}
        self._also: defaultdict[ProvenanceId, set[ProvenanceId]] = defaultdict(set)
        self._left_out: list[LeftOut] = []
        self._used = 0
        self._answered = False

    def put(self, item: Item) -> None:
        if any(other.holds(item.id) for other in self._firm):
            return
        if item.id not in self._sides and self._is_said(item):
            return
        self._by_text.setdefault(says(item.quote), item.id)
        self._firm.append(item)
        self._used += self._count(item.quote)

    def put_if_it_fits(self, unit: Unit) -> None:
        item = unit.item
        if any(other.holds(item.id) for other in self._firm) or self._is_said(item):
            self._answered = True
            return
        grown = sum(self._count(run.quote) for run in self._runs(unit.passage, item))
        if self._used + grown - self._sizes.get(unit.passage, 0) > self._budget:
            self._left_out.append(LeftOut(str(item.id), "budget"))
            return
        self._used += grown - self._sizes.get(unit.passage, 0)
        self._sizes[unit.passage] = grown
        self._units[unit.passage].append(item)
        self._by_text[says(item.quote)] = item.id
        self._answered = True

    def selection(self, order: Iterable[Place]) -> Selection:
        runs = [run for place in order for run in self._runs(place)]
        items = [self._naming_others(item) for item in (*self._firm, *runs)]
        left_out = sorted(self._left_out, key=lambda left: (left.why, ProvenanceId.parse(left.id)))
        return Selection(tuple(items), tuple(left_out), self._used, self._answered)

    def _is_said(self, item: Item) -> bool:
        """Whether another place that says the same is shown already; then that one names this."""
        twin = self._by_text.get(says(item.quote))
        if twin is None:
            return False
        if twin != item.id:
            self._also[twin].add(item.id)
            self._left_out.append(LeftOut(str(item.id), "same_text"))
        return True

    def _naming_others(self, item: Item) -> Item:
        others = [other for twin, named in self._also.items() if item.holds(twin) for other in named]
        return item.with_also(others) if others else item

    def _runs(self, place: Place, more: Item | None = None) -> list[Item]:
        """What is chosen of a passage, neighbours as one quote."""
        chosen = [*self._units[place], *([more] if more else [])]
        if not chosen:
            return []
        passage = self._passages(place)
        first = passage.id.start or 0
        runs: list[tuple[int, int]] = []
        for start, end in sorted(span for unit in chosen if (span := unit.id.span)):
            if runs and not passage.quote[runs[-1][1] - first : start - first].strip():
                runs[-1] = (runs[-1][0], end)
            else:
                runs.append((start, end))
        return [passage.part(*run) for run in runs]
