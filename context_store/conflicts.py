"""Contradictions: facts that sources in force declare with different values.

A fact counts when a passage that states its value (or any passage of a version that declares it without
stating it word for word) is among the evidence. Then one passage for every value is found, whether or not the
search had it: both sides are always in the bundle.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from context_store.grants import ReadGrant
from context_store.items import Item, Place, items_at
from context_store.readable import READABLE, parameters
from context_store.store import Cursor
from ledger.canonical import JsonObject, parse_strict


@dataclass(frozen=True, slots=True)
class Side:
    """One value of a fact (as canonical JSON), and the item that stands for it."""

    value: str
    item: Item


@dataclass(frozen=True, slots=True)
class Conflict:
    """A fact with more than one value among what the grant covers; sides in the order of their values."""

    fact: str
    sides: tuple[Side, ...]

    def as_json(self) -> JsonObject:
        """The conflict as it stands in a bundle."""
        sides: list[JsonObject] = [
            {"value": parse_strict(side.value), "item": str(side.item.id)} for side in self.sides
        ]
        return {"fact": self.fact, "sides": [*sides]}


def find_conflicts(
    cursor: Cursor, grant: ReadGrant, head: int, evidence: Sequence[Item], now_ms: int
) -> list[Conflict]:
    """The conflicts that the evidence touches, by name of the fact. `evidence` is in order of preference."""
    if not evidence:
        return []
    asked = {
        **parameters(grant, head, now_ms),
        "keys": [item.place[0] for item in evidence],
        "ordinals": [item.place[1] for item in evidence],
    }
    preferred = {item.place: number for number, item in enumerate(evidence)}
    stated: defaultdict[str, dict[str, Place]] = defaultdict(dict)
    rows = cursor.execute(_CONTESTED, asked).fetchall()
    # Of several places with one value: the one that comes first in the evidence, else in the store.
    rows.sort(key=lambda row: preferred.get((row[4], row[5]), len(preferred)))
    for name, value, _, _, key, ordinal in rows:
        stated[name].setdefault(value, (key, ordinal))
    places = [place for values in stated.values() for place in values.values()]
    items = items_at(cursor, grant, head, places, now_ms)
    return [
        Conflict(name, tuple(Side(value, items[place]) for value, place in sorted(stated[name].items())))
        for name in sorted(stated)
    ]


_CONTESTED = f"""
{READABLE}
, evidence AS (SELECT unnest($keys::INTEGER[]) AS key, unnest($ordinals::INTEGER[]) AS ordinal)
, declared AS (
    SELECT f.name, f.value, r.source, r.version, f.key, f.ordinal FROM facts f JOIN current r USING (key)
), touched AS (
    SELECT DISTINCT d.name FROM declared d JOIN evidence e
    ON e.key = d.key AND coalesce(e.ordinal = d.ordinal, true)
), contested AS (
    SELECT d.name FROM declared d JOIN touched USING (name) GROUP BY d.name HAVING count(DISTINCT d.value) > 1
)
SELECT d.name, d.value, d.source, d.version, d.key, coalesce(d.ordinal, 0)
FROM declared d JOIN contested USING (name)
ORDER BY d.name, d.value, d.source, d.version, d.ordinal
"""  # noqa: S608
