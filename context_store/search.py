"""Search: what of all that a grant reaches answers a need, best first.

A need is searched as its sentences are: each gives a ranking by BM25 (`ranking`), and the rankings are fused
by reciprocal rank (a need of one phrase is one ranking). Where search by meaning is in use (`semantic`), its
ranking of the same passages is fused in at a low weight.

Document frequencies, the number of passages and their mean length are counted over the current rows that the
grant covers, never over all rows. Counted over all, the order of an answer would tell its reader which words
occur in texts that they may not read; so the answer costs a little more and leaks nothing.

The nearest passage is not always about the subject (rule `cover-2`). A passage answers a sentence when it
holds at least two of its words that together carry `COVER` of the sentence's weight, or any that carry
`COVER_ALONE`. Only where some passage does is the need answered at all; then passages that share less with
it, `RELATED` of the weight or three words, are evidence too. Words are compared by their stems, and a word
weighs its idf; one that no passage holds weighs most.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

from context_store.errors import StoreError
from context_store.index import Name
from context_store.passages import RULE as PASSAGES_RULE
from context_store.ranking import DIGITS, rank
from context_store.reach import Reach
from context_store.sentences import sentence_spans
from context_store.terms import RULE as TERMS_RULE
from context_store.terms import Word, informative_words
from ledger.canonical import JsonObject

SCORING: Final = "bm25-2"
"""BM25 with k1 = 1.2 and b = 0.75 over both forms of each word by `terms-2`."""

RELEVANCE: Final = "cover-2"
MAX_NEED: Final = 8_000
"""The longest need, in code points."""

DEPTH: Final = 50
"""How many passages each sentence of a need may bring."""

COVER: Final = 0.18
COVER_ALONE: Final = 0.35
RELATED: Final = 0.1
RELATED_WORDS: Final = 3
_RRF: Final = 60  # Cormack, Clarke and Büttcher, Reciprocal rank fusion, 2009


class NeedRefused(StoreError):
    """A need that cannot be searched for."""


class Hit(NamedTuple):
    """A passage that was found, with its fused score; how strong it is, from 0 to 1, beside the best passage
    for one of the need's sentences; and by rule `cover-2`, whether it answers one, and whether it is related
    to one.

    `key` and `ordinal` are its place, good for as long as the store is open; they are no ids.
    """

    key: int
    ordinal: int
    source: str
    version: int
    score: float
    strength: float
    answers: bool
    related: bool


def lexical() -> JsonObject:
    """What a bundle says about how its words were searched for."""
    return {
        "scoring": SCORING,
        "terms": TERMS_RULE,
        "passages": PASSAGES_RULE,
        "relevance": RELEVANCE,
    }


def search(
    reach: Reach, need: str, *, meant: Sequence[tuple[int, float]] = (), depth: int = DEPTH
) -> list[Hit]:
    """The passages that a need finds among what is reached, best first, ties in the order of source, version
    and place.

    `meant` is the ranking by meaning, with likenesses. Raises `NeedRefused` when the need is too long.
    """
    fused: defaultdict[int, float] = defaultdict(float)
    strength: defaultdict[int, float] = defaultdict(float)
    answering: set[int] = set()
    related: set[int] = set()
    names: dict[int, Name] = {}
    for words in needed_words(need):
        ranked = rank(reach, words, depth)
        names |= reach.names([one.passage for one in ranked])
        ranked.sort(key=lambda one: (-one.score, names[one.passage]))
        for place, one in enumerate(ranked[:depth], 1):
            fused[one.passage] += 1 / (_RRF + place)
            strength[one.passage] = max(strength[one.passage], one.score / ranked[0].score)
            if (one.matched >= 2 and one.cover >= COVER) or one.cover >= COVER_ALONE:
                answering.add(one.passage)
            if one.matched >= RELATED_WORDS or one.cover >= RELATED:
                related.add(one.passage)
    if meant:
        names |= reach.names([passage for passage, _ in meant])
        in_order = sorted(fused, key=lambda passage: (-round(fused[passage], DIGITS + 3), names[passage]))
        fused = defaultdict(
            float, {passage: 1 / (_CHANNELS + place) for place, passage in enumerate(in_order, 1)}
        )
    for place, (passage, likeness) in enumerate(meant, 1):
        fused[passage] += MEANT_WEIGHT / (_CHANNELS + place)
        strength[passage] = max(strength[passage], MEANT_WEIGHT * (_CHANNELS + 1) / (_CHANNELS + place))
        if likeness >= LIKE:
            answering.add(passage)
        if likeness >= RELATED_LIKE:
            related.add(passage)
    # Rounded, so that the order of additions cannot part equals.
    scores = {passage: round(score, DIGITS + 3) for passage, score in fused.items()}
    hits: list[Hit] = []
    for passage in sorted(scores, key=lambda passage: (-scores[passage], names[passage])):
        source, version, ordinal, key = names[passage]
        answers = passage in answering
        near = answers or passage in related
        strong = round(strength[passage], DIGITS)
        hits.append(Hit(key, ordinal, source, version, scores[passage], strong, answers, near))
    return hits


LIKE: Final = 0.6
RELATED_LIKE: Final = 0.45
"""From which likeness on a passage answers a need, or is related to it, whatever its words are."""

MEANT_WEIGHT: Final = 0.8
"""How much a place in the ranking by meaning counts, beside one in the ranking by words."""

_CHANNELS: Final = 10
"""The constant of reciprocal rank for the two rankings. Both numbers were chosen on SciFact's training claims
(nDCG@10 .698 by words, .721 with both), and are measured on its test split.
"""


def evidence_among(hits: Sequence[Hit]) -> list[Hit]:
    """What of a search is evidence: nothing where no passage answers the need, else all that is related to
    it.
    """
    return [hit for hit in hits if hit.related] if any(hit.answers for hit in hits) else []


def needed_words(need: str) -> list[list[Word]]:
    """The distinct words of each sentence of a need, without sentences that hold none or only what another
    holds.
    """
    if len(need) > MAX_NEED:
        raise NeedRefused(f"The need has {len(need)} characters; say it in at most {MAX_NEED}.")
    found = [sorted(set(informative_words(need[start:end]))) for start, end in sentence_spans(need)]
    return [list(distinct) for distinct in dict.fromkeys(tuple(one) for one in found if one)]
