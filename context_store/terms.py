"""What counts as a word for the index and for a need: rule `terms-2`.

Runs of letters and digits, compatibility-folded and lower-cased; runs of scripts written without spaces
become overlapping pairs of characters. English stop words are left out: on needs written as stories that
raised nDCG@10 from .23 to .52.

Each word is indexed in two forms, because a stemmer finds more in abstracts and misleads in instructions:
with its English plural folded, and as its Porter stem. A word that is there as it was asked for counts in
both, one that is only related in the second (docs/adr/0023). The index is derived and can be built again from
the texts; a change of this rule needs a new name.
"""

import hashlib
import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol, cast

import snowballstemmer  # pyright: ignore[reportMissingTypeStubs]

RULE: Final = "terms-2"

_WORD = re.compile(r"[^\W_]+")
# Han, kana, Thai, Lao, Khmer and Myanmar put no spaces between words.
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]+"
)

_SIBILANT_PLURALS: Final = ("sses", "xes", "shes", "tches", "nches", "rches")
_STOP_WORDS: Final = """
a about after again all also am an and any are as at be because been before being but by can could did do
does doing done else etc for from get got had has have having he her here him his how i if in into is it
its itself just like may me might more most must my no nor not now of off on one only or other our out
over own please she should so some such than that the their them then there these they this those through
to too under until up us very was we were what when where which while who whom why will with within
without would you your yours want wants wish
"""
STOP_WORDS: Final = frozenset(_STOP_WORDS.split())
"""English words that say nothing of what a text is about."""


STEM: Final = "~"
"""What a stem begins with, so that no word is taken for one."""

_porter = cast("_Stemmer", snowballstemmer.stemmer("porter"))  # pyright: ignore[reportUnknownMemberType]


class _Stemmer(Protocol):
    def stemWord(self, word: str) -> str: ...


@dataclass(frozen=True, slots=True, order=True)
class Word:
    """A word in the two forms in which it is indexed, both as terms."""

    folded: str
    stem: str


def terms(text: str) -> list[str]:
    """The terms of a text, with repetitions: what is indexed of a passage. Both forms of each word."""
    return [form for word in informative_words(text) for form in (word.folded, word.stem)]


def informative_words(text: str) -> list[Word]:
    """The words of a text that say what it is about, in order and with repetitions: what is searched of a
    need.
    """
    return [_word(word) for word in words(text) if _is_informative(word)]


def stems_among(text: str, stems: Collection[str]) -> set[str]:
    """Which of these stems the words of a text have. Only words that begin like one of them are stemmed:
    stemming changes endings, never the first letters.
    """
    beginnings = tuple({stem[len(STEM) :][: max(2, min(3, len(stem) - 3))] for stem in stems})
    alike = {word for word in words(text) if word.startswith(beginnings) and _is_informative(word)}
    return {_word(word).stem for word in alike} & {*stems}


def words(text: str) -> list[str]:
    """Every word of a text in its folded form, stop words included: two texts with the same words say the
    same thing.
    """
    found: list[str] = []
    for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold()):
        found.extend((word,) if word.isascii() else _parts(word))
    return found


@lru_cache(maxsize=65_536)
def term_id(term: str) -> int:
    """The 64-bit signed number under which the index keeps a term; computed here so that it holds across
    engines and versions.
    """
    return int.from_bytes(
        hashlib.blake2b(term.encode(), digest_size=8, person=b"terms-2").digest(), "big", signed=True
    )


@lru_cache(maxsize=65_536)
def _word(word: str) -> Word:
    return Word(_fold_plural(word), STEM + (_porter.stemWord(word) if word.isascii() else word))


def _is_informative(word: str) -> bool:
    return word not in STOP_WORDS and not (len(word) == 1 and word.isascii() and word.isalpha())


def _fold_plural(word: str) -> str:
    """Harman's S-stemmer (How effective is suffixing?, 1991), with the plurals after sibilants it misses."""
    if len(word) < 4 or not word.isascii() or not word.endswith("s"):
        return word
    if word.endswith("ies"):
        return word if word.endswith(("eies", "aies")) else word[:-3] + "y"
    if word.endswith(_SIBILANT_PLURALS):
        return word[:-2]
    if word.endswith("es"):
        return word if word.endswith(("aes", "ees", "oes")) else word[:-1]
    return word if word.endswith(("us", "ss")) else word[:-1]


def _parts(word: str) -> list[str]:
    parts: list[str] = []
    last = 0
    for run in _UNSPACED.finditer(word):
        if run.start() > last:
            parts.append(word[last : run.start()])
        signs = run[0]
        parts.extend(signs[i : i + 2] for i in range(max(1, len(signs) - 1)))
        last = run.end()
    if last < len(word):
        parts.append(word[last:])
    return parts
