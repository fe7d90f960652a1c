"""What of a passage can be shown by itself: units of whole sentences, weighed against a need.

Prose is divided between its sentences; a list, a table or code is one unit, and so is a passage that is short
anyway. A sentence that takes back what the one before says ("However, …", "Unless …") stays with it.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from context_store.items import Item, Place
from context_store.ranking import weight
from context_store.reach import Reach
from context_store.search import Hit, needed_words
from context_store.sentences import sentence_spans
from context_store.terms import stems_among, term_id
from context_store.tokens import estimate_tokens

RULE: Final = "units-1"
SHORT: Final = 60
"""Tokens (by `estimate-1`) up to which a passage is not divided."""

_LEAD: Final = 0.1
_NEIGHBOUR: Final = 0.2
_STEEP: Final = 4
_STRONG: Final = 0.6

_STRUCTURED = re.compile(r"^[ \t]*(?:[-*+•|>]|\d{1,9}[.)]|`{3}|~{3})", re.MULTILINE)
_TAKES_BACK = re.compile(
    r"\W*(?:however|but|except|exceptions?|unless|otherwise|nevertheless|nonetheless|provided)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Unit:
    """A span of a passage that can be shown, and how much it is worth for the need: 0 is nothing.

    `cover` is how much of a sentence of the need its words cover.
    """

    item: Item
    passage: Place
    value: float
    cover: float


def divide(passage: Item) -> list[tuple[int, int]]:
    """The spans of a passage's units, in the version's text."""
    first, text = passage.id.start or 0, passage.quote
    if estimate_tokens(text) <= SHORT or _STRUCTURED.search(text):
        return [(first, first + len(text))]
    spans: list[tuple[int, int]] = []
    for start, end in sentence_spans(text):
        if spans and _TAKES_BACK.match(text, start):
            spans[-1] = (spans[-1][0], first + end)
        else:
            spans.append((first + start, first + end))
    return spans


def weigh(reach: Reach, need: str, found: Sequence[tuple[Hit, Item]]) -> list[Unit]:
    """The units of the passages that were found, in the passages' order.

    A unit is worth what its words cover of a sentence of the need, a little for its neighbours and for being
    there at all, all the less the weaker its passage is beside the best.
    """
    sentences = [_weights(reach, [word.stem for word in words]) for words in needed_words(need)]
    asked = {stem for weights in sentences for stem in weights}
    units: list[Unit] = []
    for hit, passage in found:
        parts = [passage.part(*span) for span in divide(passage)]
        covers = [_cover(sentences, asked, part.quote) for part in parts]
        for at, part in enumerate(parts):
            beside = max(covers[max(0, at - 1) : at] + covers[at + 1 : at + 2], default=0.0)
            value = hit.strength**_STEEP * (covers[at] + _NEIGHBOUR * beside + _LEAD)
            if covers[at] > 0 or hit.strength >= _STRONG:
                units.append(Unit(part, passage.place, round(value, 9), covers[at]))
    return units


def _weights(reach: Reach, stems: Sequence[str]) -> dict[str, float]:
    found = {stem: weight(reach, len(reach.postings(term_id(stem))[0])) for stem in dict.fromkeys(stems)}
    whole = sum(found.values())
    return {stem: share / whole for stem, share in found.items()}


def _cover(sentences: Sequence[Mapping[str, float]], asked: Collection[str], text: str) -> float:
    said = stems_among(text, asked)
    covers = (sum(share for stem, share in weights.items() if stem in said) for weights in sentences)
    return round(max(covers, default=0.0), 6)
