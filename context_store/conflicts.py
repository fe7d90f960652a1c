"""Contradictions in the evidence: facts that sources in force declare with different values, and sentences
of two sources that say the same thing with another value.

A fact counts when a passage that states its value (or any passage of a version that declares it without
stating it word for word) is among the evidence. Then one passage for every value is found, whether or not the
search had it. Sentences count when they are among the evidence themselves. Both sides are always in the
bundle.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from context_store.cursor import Cursor
from context_store.items import Item, Place, passages_at, says
from context_store.reach import Reach
from context_store.sentences import sentence_spans
from context_store.statements import Kind, contradictions
from context_store.units import Unit
from ledger.canonical import JsonObject, canonical, parse_strict

MOST_COMPARED: Final = 48
"""How many sentences of the evidence are compared with each other, the most valuable ones."""

MOST_CONFLICTS: Final = 8
"""How many contradictions between sentences a bundle shows."""


@dataclass(frozen=True, slots=True)
class Side:
    """One value (as canonical JSON), and the item that stands for it."""

    value: str
    item: Item


@dataclass(frozen=True, slots=True)
class Conflict:
    """More than one value for one thing among what the grant covers.

    `kind` is `fact`, and then `fact` names it and the sides come in the order of their values; or what the
    sentences differ in.
    """

    kind: Literal["fact"] | Kind
    fact: str | None
    sides: tuple[Side, ...]

    def as_json(self) -> JsonObject:
        """The conflict as it stands in a bundle."""
        sides: list[JsonObject] = [
            {"value": parse_strict(side.value), "item": str(side.item.id)} for side in self.sides
        ]
        return {"kind": self.kind, "fact": self.fact, "sides": [*sides]}


def declared_conflicts(cursor: Cursor, reach: Reach, evidence: Sequence[Item]) -> list[Conflict]:
    """The declared facts that the evidence touches and that have several values, by name. `evidence` is in
    order of preference.
    """
    if not any(reach.declares(item.place[0]) for item in evidence):
        return []
    asked = {
        "keys": [item.place[0] for item in evidence],
        "ordinals": [item.place[1] for item in evidence],
    }
    preferred = {item.place: number for number, item in enumerate(evidence)}
    stated: defaultdict[str, dict[str, Place]] = defaultdict(dict)
    touched = [name for (name,) in cursor.execute(_TOUCHED, asked).fetchall()]
    if not touched:
        return []
    declared = cursor.execute(_DECLARED, {"names": touched}).fetchall()
    rows = [row for row in declared if reach.covers(row[4])]
    # Of several places with one value: the one that comes first in the evidence, else in the store.
    rows.sort(key=lambda row: preferred.get((row[4], row[5]), len(preferred)))
    for name, value, _, _, key, ordinal in rows:
        stated[name].setdefault(value, (key, ordinal))
    contested = {name: values for name, values in sorted(stated.items()) if len(values) > 1}
    items = passages_at(cursor, reach, [place for values in contested.values() for place in values.values()])
    return [
        Conflict("fact", name, tuple(Side(value, items[place]) for value, place in sorted(values.items())))
        for name, values in contested.items()
    ]


def spoken_conflicts(units: Sequence[Unit]) -> list[Conflict]:
    """What sentences of different sources say differently, of those that share a word with the need; the most
    valuable first.
    """
    ranked = sorted((unit for unit in units if unit.cover > 0), key=lambda unit: (-unit.value, unit.item.id))
    compared = [unit.item for unit in ranked[:MOST_COMPARED]]
    words = [says(item.quote) for item in compared]
    # What can be shown by itself may be several sentences: each is compared with those of others.
    sentences = [
        (at, item.quote[start:end])
        for at, item in enumerate(compared)
        for start, end in sentence_spans(item.quote)
    ]
    found: list[Conflict] = []
    told: set[str] = set()
    for left, right, said in contradictions([sentence for _, sentence in sentences]):
        at, beside = sentences[left][0], sentences[right][0]
        one, other = compared[at], compared[beside]
        # Sentences that say the same are one side, whoever else says it.
        if one.id.source == other.id.source or {words[at], words[beside]} <= told:
            continue
        told |= {words[at], words[beside]}
        sides = (Side(_json(said.one), one), Side(_json(said.other), other))
        found.append(Conflict(said.kind, None, tuple(sorted(sides, key=lambda side: side.item.id))))
        if len(found) == MOST_CONFLICTS:
            break
    return found


def _json(value: str) -> str:
    return canonical(value).decode()


_TOUCHED = """
WITH evidence AS (SELECT unnest($keys::INTEGER[]) AS key, unnest($ordinals::INTEGER[]) AS ordinal)
SELECT DISTINCT f.name FROM facts f JOIN evidence e ON e.key = f.key AND coalesce(e.ordinal = f.ordinal, true)
"""

# Every fact of these names, as declared by any version: the reach says which count.
_DECLARED = """
SELECT f.name, f.value, v.source, v.version, f.key, coalesce(f.ordinal, 0)
FROM facts f JOIN versions v USING (key) WHERE f.name IN (SELECT unnest($names::VARCHAR[]))
ORDER BY f.name, f.value, v.source, v.version, f.ordinal
"""
