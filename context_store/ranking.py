"""Ranking one sentence over what a grant reaches: BM25, the best of all, found without looking at most.

Terms are taken from the rarest on. Once the passages that hold rare terms are so far ahead that common terms
alone cannot catch up, common terms only add to those (the idea of MaxScore: Turtle and Flood, Query
evaluation, 1995). The result is that of scoring every passage, which a test holds against plain SQL.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from context_store.reach import Reach
from context_store.terms import Word, term_id

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Numbers = npt.NDArray[np.integer[Any]]
    Scores = npt.NDArray[np.float64]

PRIOR: Final = 20
"""A term's weight counts this many more passages without it, or in a small store every word looks common."""

DIGITS: Final = 6
"""To how many digits scores are compared, so that the order of additions cannot part equals."""


_FEW: Final = 2_000
"""So many postings are added sooner than it is found out that they need not be."""


class Ranked(NamedTuple):
    """A passage's number in its reach; its score; how many of the sentence's words it holds, by their stems,
    and what part of their weight.
    """

    passage: int
    score: float
    matched: int
    cover: float


@dataclass(frozen=True, slots=True)
class _Term:
    passages: Numbers
    scores: Scores
    most: float


class _Board(threading.local):
    """One row of scores for each thread, all zero between searches, so that no search has to make its own."""

    scores: Scores | None = None

    def of(self, size: int) -> Scores:
        """A row of at least `size` zeros."""
        import numpy as np

        if self.scores is None or len(self.scores) < size:
            self.scores = np.zeros(size)
        return self.scores


_board = _Board()


def rank(reach: Reach, words: Sequence[Word], depth: int) -> list[Ranked]:
    """The `depth` best passages for the distinct words of a sentence, and all that tie with the last, best
    first; ties in no order.
    """
    read = {term: reach.postings(term_id(term)) for word in words for term in (word.folded, word.stem)}
    weights = {term: weight(reach, len(passages)) for term, (passages, _) in read.items()}
    terms = [
        _Term(passages, impacts * weights[term], float(impacts.max()) * weights[term])
        for term, (passages, impacts) in read.items()
        if len(passages)
    ]
    if not terms:
        return []
    terms.sort(key=lambda term: -term.most)
    passages, scores = _best(reach.bases[-1], terms, depth)
    stems = {word.stem: weights[word.stem] for word in words}
    matched, cover = _cover(stems, {stem: read[stem][0] for stem in stems}, passages)
    return [
        Ranked(*row)
        for row in zip(passages.tolist(), scores.tolist(), matched.tolist(), cover.tolist(), strict=True)
    ]


def weight(reach: Reach, holding: int) -> float:
    """How much a term says that `holding` passages of those reached hold: its inverse document frequency."""
    return math.log(1 + (reach.passages + PRIOR - holding + 0.5) / (holding + 0.5))


def _best(size: int, terms: Sequence[_Term], depth: int) -> tuple[Numbers, Scores]:
    import numpy as np

    scores = _board.of(size)
    touched: list[Numbers] = []
    before, rest, ahead = 0.0, sum(term.most for term in terms), sum(len(term.passages) for term in terms)
    candidates: Numbers | None = None
    try:
        for term in terms:
            before, rest, ahead = before + term.most, rest - term.most, ahead - len(term.passages)
            if candidates is None:
                touched.append(term.passages)
                scores[term.passages] += term.scores
                if ahead > _FEW and rest < before:
                    candidates = _leaders(scores, touched, rest, depth)
            else:
                at = term.passages.searchsorted(candidates)
                at[at == len(term.passages)] = 0
                held = term.passages[at] == candidates
                scores[candidates[held]] += term.scores[at[held]]
        if candidates is None:
            candidates = np.unique(np.concatenate(touched))
        final = np.round(scores[candidates], DIGITS)
    finally:
        for passages in touched:
            scores[passages] = 0.0
    if len(final) > depth:
        least = np.partition(final, len(final) - depth)[len(final) - depth]
        candidates, final = candidates[final >= least], final[final >= least]
    order = np.argsort(-final, kind="stable")
    return candidates[order], final[order]


def _leaders(scores: Scores, touched: Sequence[Numbers], rest: float, depth: int) -> Numbers | None:
    """The passages that can still be among the best, once no others can; None before that."""
    import numpy as np

    among = touched[0] if len(touched) == 1 else np.concatenate(touched)
    if len(among) < depth:
        return None
    reached = scores[among]
    slack = 10.0**-DIGITS  # what is rounded may tie with the last
    # A passage may be among them several times: then this bound is too high, and the cheaper for it.
    if rest + slack >= np.partition(reached, len(among) - depth)[len(among) - depth]:
        return None
    if len(touched) > 1:
        among, at = np.unique(among, return_index=True)
        reached = reached[at]
        if len(among) < depth:
            return None
    least = np.partition(reached, len(among) - depth)[len(among) - depth]
    if rest + slack >= least:
        return None
    return among[reached + rest + slack >= least]


def _cover(
    stems: Mapping[str, float], holding: Mapping[str, Numbers], passages: Numbers
) -> tuple[Numbers, Scores]:
    """How many of these stems each passage holds, and what part of their weight. Words that share a stem are
    one: they would count twice for one place in the text.
    """
    import numpy as np

    matched = np.zeros(len(passages), dtype=np.int64)
    cover = np.zeros(len(passages))
    for stem, weight_ in stems.items():
        if not len(holding[stem]):
            continue
        at = holding[stem].searchsorted(passages)
        at[at == len(holding[stem])] = 0
        held = holding[stem][at] == passages
        matched += held
        cover += weight_ * held
    return matched, np.round(cover / sum(stems.values()), DIGITS)
