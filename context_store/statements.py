"""Two sentences that say the same thing with another value: rule `statements-1`.

A sentence is read as a row of tokens, some of which are values: numbers, dates and names. Two sentences say
the same thing when they agree in almost all words around their values; they contradict each other when a
value of one stands where the other has another value of its kind, or when one denies what the other says.
Nothing is inferred beyond that: what two texts say in different words is left to their reader.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Final, Literal

from context_store.terms import STOP_WORDS, informative_words

RULE: Final = "statements-1"

Kind = Literal["number", "date", "name", "negation"]

ALIKE: Final = 0.56
"""How much of the words beside values two sentences must share, and at least `FEWEST` of them."""

AT_LEAST_ALIKE: Final = 0.25
"""The same of the longer one: a few common words are soon found in a long sentence."""

DENIED_ALIKE: Final = 0.75
"""The same for a denial, of the words of both together: most sentences deny something."""

FEWEST: Final = 3
LONGEST: Final = 80
"""Tokens of a sentence that are compared; what is longer is no sentence but a table or a menu."""

_MONTHS: Final = "january february march april may june july august september october november december"
_MONTH = "|".join(f"{month[:3]}(?:{month[3:]})?" for month in _MONTHS.split())
_TOKEN = re.compile(
    rf"""(?P<date>\b(?:{_MONTH})\.?\ \d{{1,2}}(?:st|nd|rd|th)?,?\ \d{{4}}\b
        |\b\d{{1,2}}(?:st|nd|rd|th)?\ (?:of\ )?(?:{_MONTH})\.?,?\ \d{{4}}\b
        |\b(?:{_MONTH})\.?,?\ \d{{4}}\b|\b\d{{4}}-\d\d-\d\d\b|\b(?:1[0-9]|20)\d\d\b(?![,.]?\d))
    |(?P<number>-?(?<![\w.])\d+(?:[,.]\d+)*(?:\ ?%)?)
    |(?P<word>[^\W\d_]+(?:['’\-][^\W\d_]+)*\.?|[^\W_]+)
    |(?P<sign>[%$€£])""",
    re.VERBOSE | re.IGNORECASE,
)
_NEGATION: Final = frozenset(
    ("not", "no", "never", "cannot", "without", "neither", "nor", "none", "nobody", "nothing")
)
_NUMBERS: Final = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen twenty
"""
_SPELLED: Final = {word: str(number) for number, word in enumerate(_NUMBERS.split())} | {
    "thirty": "30",
    "forty": "40",
    "fifty": "50",
    "sixty": "60",
    "ninety": "90",
    "hundred": "100",
}


@dataclass(frozen=True, slots=True)
class Token:
    """A word or value of a sentence in the form in which it is compared."""

    kind: Literal["word", "number", "date", "name", "negation"]
    form: str


@dataclass(frozen=True, slots=True)
class Difference:
    """That two sentences differ in one value: what kind it is of, and what each says."""

    kind: Kind
    one: str
    other: str


@lru_cache(maxsize=8_192)
def tokens(sentence: str) -> tuple[Token, ...]:
    """The tokens of a sentence."""
    return tuple(_tokens(sentence))


def _tokens(sentence: str) -> Iterator[Token]:
    first = True
    for found in _TOKEN.finditer(sentence):
        text = found[0]
        if found["date"]:
            yield Token("date", _date(text))
        elif found["number"]:
            yield Token("number", text.replace(",", "").replace(" ", "").rstrip("."))
        elif found["sign"]:
            yield Token("word", text)
        else:
            yield from _word(text.rstrip("."), first=first)
        first = False


def _word(text: str, *, first: bool) -> Iterator[Token]:
    low = text.lower().replace("’", "'")
    if low in _NEGATION or low.endswith("n't"):
        yield Token("negation", "not")
    elif low in _SPELLED and not text[:1].isupper():
        yield Token("number", _SPELLED[low])
    elif text[:1].isupper() and not first and low not in STOP_WORDS:
        yield Token("name", low)
    else:
        yield Token("word", low)


def _date(text: str) -> str:
    """A date in one spelling: `14 march 1879` and `March 14, 1879` are the same."""
    parts = re.findall(r"[a-z]+|\d+", text.lower())
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        year, month, day = text.split("-")
        return f"{year} {_MONTHS.split()[int(month) - 1][:3] if 0 < int(month) < 13 else month} {int(day)}"
    month = next((part[:3] for part in parts if part[:3] in _MONTHS and part not in ("st", "of", "th")), "")
    numbers = [part for part in parts if part.isdigit()]
    year = next((number for number in numbers if len(number) == 4), "")
    day = next((str(int(number)) for number in numbers if len(number) < 3), "")
    return " ".join(part for part in (year, month, day) if part)


def difference(one: str, other: str) -> Difference | None:
    """How two sentences contradict each other, or None where they do not, or say different things."""
    frame_left, frame_right = _frame(one), _frame(other)
    shared = len(frame_left & frame_right)
    shorter, longer = sorted((len(frame_left), len(frame_right)))
    if shared < FEWEST or shared < ALIKE * shorter or shared < AT_LEAST_ALIKE * longer:
        return None
    left, right = tokens(one), tokens(other)
    if left == right or max(len(left), len(right)) > LONGEST:
        return None
    found = _replaced(left, right)
    if (
        found is None
        and _denied(left) != _denied(right)
        and shared >= DENIED_ALIKE * len(frame_left | frame_right)
    ):
        return Difference("negation", *(("not", "") if _denied(left) else ("", "not")))
    if found is not None and found.kind in ("number", "date") and _of_others(left, right):
        return None
    return found


@lru_cache(maxsize=8_192)
def _frame(sentence: str) -> frozenset[str]:
    """The words that say what a sentence is about."""
    said = " ".join(token.form for token in tokens(sentence) if token.kind in ("word", "name"))
    return frozenset(word.stem for word in informative_words(said))


def _of_others(left: Sequence[Token], right: Sequence[Token]) -> bool:
    """Whether each names somebody or something that the other does not: then each has a value of its own."""
    here, there = ({token.form for token in side if token.kind == "name"} for side in (left, right))
    return bool(here - there) and bool(there - here)


def _denied(sentence: Sequence[Token]) -> bool:
    return sum(token.kind == "negation" for token in sentence) % 2 == 1


def _replaced(left: Sequence[Token], right: Sequence[Token]) -> Difference | None:
    """The first value of one sentence that stands where the other has another one of its kind."""
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    for act, i1, i2, j1, j2 in matcher.get_opcodes():
        if act != "replace":
            continue
        for kind in ("date", "number", "name"):
            mine = [token.form for token in left[i1:i2] if token.kind == kind]
            theirs = [token.form for token in right[j1:j2] if token.kind == kind]
            if mine and theirs and not _compatible(kind, mine, theirs, left, right):
                return Difference(kind, " ".join(mine), " ".join(theirs))
    return None


def _compatible(
    kind: str, mine: Sequence[str], theirs: Sequence[str], left: Sequence[Token], right: Sequence[Token]
) -> bool:
    """Whether two readings can both hold: one is part of the other, or stands in the other elsewhere."""
    if set(mine) <= set(theirs) or set(theirs) <= set(mine):
        return True
    if kind == "date":
        return any(
            set(one.split()) <= set(other.split()) or set(other.split()) <= set(one.split())
            for one in mine
            for other in theirs
        )
    there = {token.form for token in right}
    here = {token.form for token in left}
    return set(mine) <= there or set(theirs) <= here
