"""Two sentences that say the same thing with another value: rule `statements-2`.

A sentence is read as a row of tokens, some of which are values: numbers, dates and names. Two sentences say
the same thing about a value when the same words stand around it; they contradict each other when another
value of that kind stands there, or when one denies what the other says. Only the words near a value count,
so that texts which were cut elsewhere are compared too. Nothing is inferred beyond that: what two texts say
in different words is left to their reader.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, product
from typing import Final, Literal, NamedTuple

from context_store.terms import STOP_WORDS, informative_words

RULE: Final = "statements-2"

Kind = Literal["number", "date", "name", "negation"]

AROUND: Final = 10
"""How many tokens on either side of a value are compared."""

BESIDE: Final = 2
"""How many tokens right before a value, or right after it, must be the same."""

ALIKE: Final = {"date": 0.3, "number": 0.7, "name": 0.4}
"""How much of the words around a value both must share, by what it is: many numbers stand in similar
company, few dates do. Chosen on one half of a public set; see benchmarks/README.md.
"""

ALIKE_SHORT_FORMS: Final = 0.7
"""The same for names such as DNA or B2B, which stand in the company of the words that they are short for."""

FEWEST: Final = 2
"""How many such words they must share."""

DENIED_ALIKE: Final = 0.75
"""What part of the words of both sentences together they must share, where one denies what the other says:
most sentences deny something.
"""

WHOLE: Final = 16
"""Tokens of a sentence that speaks of one thing."""

FEWEST_DENIED: Final = 3
LONGEST_DENIED: Final = 80
"""Tokens of a sentence that is compared as a whole; what is longer is a table or a menu."""

MOST_BESIDE: Final = 40
"""Words that stand beside more values than that say nothing about any of them."""

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

# Most sentences hold nothing that could be compared, and need not be taken apart to know it.
_MAY_BE_VALUE = re.compile(rf"\d|\b(?:{'|'.join(_SPELLED)}|{_MONTH})\b", re.IGNORECASE)
_MAY_DENY = re.compile(rf"\b(?:{'|'.join(sorted(_NEGATION))})\b|n['’]t\b", re.IGNORECASE)


class Token(NamedTuple):
    """A word or value of a sentence in the form in which it is compared. An `aside` stands in brackets; a
    `short` name has more capitals than its first letter.
    """

    kind: Literal["word", "number", "date", "name", "negation"]
    form: str
    aside: bool = False
    short: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """That two sentences differ in one value: what kind it is of, and what each says."""

    kind: Kind
    one: str
    other: str


class _Value(NamedTuple):
    """A value of a sentence: where it stands, its forms, and the words and the other values around it."""

    kind: Literal["number", "date", "name"]
    start: int
    forms: frozenset[str]
    said: str
    short: bool
    near: frozenset[str]
    others: frozenset[str] | None


_Beside = tuple[str, str, str, str]
"""Two tokens before or after a value of a kind."""


@lru_cache(maxsize=8_192)
def tokens(sentence: str) -> tuple[Token, ...]:
    """The tokens of a sentence."""
    return tuple(_tokens(sentence))


def _tokens(sentence: str) -> Iterator[Token]:
    depth, last, before = 0, 0, ""
    for found in _TOKEN.finditer(sentence):
        text, between = found[0], sentence[last : found.start()]
        if between != " ":
            depth = max(0, depth + sum((sign in "([") - (sign in ")]") for sign in between))
        if found["date"]:
            yield Token("date", _date(text))
        elif found["number"]:
            yield Token("number", text.replace(",", "").replace(" ", "").rstrip("."), aside=depth > 0)
        elif found["sign"]:
            yield Token("word", text)
        else:
            yield _word(text.rstrip("."), first=_begins(before, between), aside=depth > 0)
        last, before = found.end(), text


def _begins(before: str, between: str) -> bool:
    """Whether a word stands where any word has a capital: at a beginning, or after a heading in capitals."""
    if between != " " and any(sign in between for sign in ".!?"):
        return True
    return not before or (len(before) > 3 and (before[-1] == "." or before.isupper()))


@lru_cache(maxsize=65_536)
def _word(text: str, *, first: bool, aside: bool) -> Token:
    low = text.lower().replace("’", "'")
    if low in _NEGATION or low.endswith("n't"):
        return Token("negation", "not")
    if low in _SPELLED and not text[:1].isupper():
        return Token("number", _SPELLED[low], aside=aside)
    if text[:1].isupper() and len(text) > 1 and not first and low not in STOP_WORDS:
        return Token("name", low, aside=aside, short=not text[1:].islower() and text[1:] != low[1:])
    return Token("word", low)


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


def contradictions(sentences: Sequence[str]) -> list[tuple[int, int, Difference]]:
    """Which of these sentences contradict each other, by their places, in order.

    Sentences are compared where they have the words right beside a value in common, or where one denies.
    """
    holding: defaultdict[_Beside, list[tuple[int, _Value]]] = defaultdict(list)
    for at, sentence in enumerate(sentences):
        for beside, value in _values_beside(sentence):
            holding[beside].append((at, value))
    found: dict[tuple[int, int], tuple[int, int, Difference]] = {}
    for held in holding.values():
        if len(held) > MOST_BESIDE:
            continue
        for (one, mine), (other, theirs) in combinations(held, 2):
            if one != other and _contradict(mine, theirs):
                said = (mine.start, theirs.start, Difference(mine.kind, mine.said, theirs.said))
                # Of several differences of two sentences, the first.
                found[one, other] = min(found.get((one, other), said), said, key=lambda it: it[:2])
    for one, other in _denials(sentences):
        said = Difference("negation", *(("not", "") if _denies(sentences[one]) else ("", "not")))
        found.setdefault((one, other), (0, 0, said))
    return [(one, other, said) for (one, other), (_, _, said) in sorted(found.items(), key=lambda it: it[0])]


def difference(one: str, other: str) -> Difference | None:
    """How two sentences contradict each other, or None where they do not, or say different things."""
    return next((said for _, _, said in contradictions([one, other])), None)


@lru_cache(maxsize=8_192)
def _values_beside(sentence: str) -> tuple[tuple[_Beside, _Value], ...]:
    """The values of a sentence, each by what stands right before it and by what stands right after it."""
    if sentence[1:].islower() and _MAY_BE_VALUE.search(sentence) is None:
        return ()
    row = tokens(sentence)
    found: list[tuple[_Beside, _Value]] = []
    for kind, start, end in _values(row):
        value = _value(row, kind, start, end)
        for side, near in (("<", row[max(0, start - BESIDE) : start]), (">", row[end : end + BESIDE])):
            if len(near) == BESIDE:
                found.append(((side, kind, near[0].form, near[1].form), value))
    return tuple(found)


def _values(row: Sequence[Token]) -> Iterator[tuple[Literal["number", "date", "name"], int, int]]:
    """The values in a row of tokens; names that follow each other are one. Numbers in brackets are asides."""
    at = 0
    while at < len(row):
        start, kind = at, row[at].kind
        at += 1
        while kind == "name" and at < len(row) and row[at].kind == "name":
            at += 1
        if kind in ("date", "name") or (kind == "number" and not row[start].aside):
            yield kind, start, at


def _value(row: Sequence[Token], kind: Literal["number", "date", "name"], start: int, end: int) -> _Value:
    around = (*row[max(0, start - AROUND) : start], *row[end : end + AROUND])
    own = row[start:end]
    return _Value(
        kind=kind,
        start=start,
        forms=frozenset(token.form for token in own),
        said=" ".join(token.form for token in own),
        short=any(token.short for token in own),
        near=frozenset(stem for token in around if (stem := _stem(token.form)) is not None),
        others=frozenset(token.form for token in around if token.kind in ("name", "number", "date"))
        if len(row) <= WHOLE
        else None,
    )


@lru_cache(maxsize=65_536)
def _stem(form: str) -> str | None:
    found = informative_words(form)
    return found[0].stem if found else None


def _contradict(one: _Value, other: _Value) -> bool:
    shared = len(one.near & other.near)
    alike = ALIKE_SHORT_FORMS if one.short or other.short else ALIKE[one.kind]
    return (
        shared >= FEWEST
        and shared >= alike * min(len(one.near), len(other.near))
        and not _compatible(one, other)
        and not _of_others(one, other)
    )


def _compatible(one: _Value, other: _Value) -> bool:
    """Whether two readings can both hold: one is part of the other, or a word of it the beginning of one."""
    if one.forms <= other.forms or other.forms <= one.forms:
        return True
    pairs = product(one.forms - other.forms, other.forms - one.forms)
    if one.kind == "date":
        parts = [({*mine.split()}, {*theirs.split()}) for mine, theirs in pairs]
        return any(mine <= theirs or theirs <= mine for mine, theirs in parts)
    return one.kind == "name" and any(a.startswith(b) or b.startswith(a) for a, b in pairs)


def _of_others(one: _Value, other: _Value) -> bool:
    """Whether each of two short sentences names something else, or tells another value, beside the one that
    is compared: then each speaks of a thing of its own.
    """
    if one.others is None or other.others is None:
        return False
    return bool(one.others - other.others) and bool(other.others - one.others)


def _denials(sentences: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Which of these sentences deny, as a whole and in almost the same words, what others say."""
    if not any(_denies(sentence) for sentence in sentences):
        return
    short = [at for at, sentence in enumerate(sentences) if len(tokens(sentence)) <= LONGEST_DENIED]
    denying = [at for at in short if _denies(sentences[at])]
    frames = {at: _frame(sentences[at]) for at in short}
    for one, other in product(denying, [at for at in short if not _denies(sentences[at])]):
        shared = len(frames[one] & frames[other])
        if shared >= FEWEST_DENIED and shared >= DENIED_ALIKE * len(frames[one] | frames[other]):
            yield min(one, other), max(one, other)


@lru_cache(maxsize=8_192)
def _frame(sentence: str) -> frozenset[str]:
    """The words that say what a sentence is about."""
    said = (token for token in tokens(sentence) if token.kind in ("word", "name"))
    return frozenset(stem for token in said if (stem := _stem(token.form)) is not None)


@lru_cache(maxsize=8_192)
def _denies(sentence: str) -> bool:
    if _MAY_DENY.search(sentence) is None:
        return False
    return sum(token.kind == "negation" for token in tokens(sentence)) % 2 == 1
