"""What is found among the 5,183 public abstracts of SciFact.

Documents: each query of the public test split is searched with the product's own search, without a budget,
and passages are aggregated to their source. nDCG@10 and recall at 50, by words alone and, where the extra
`semantic` is installed, with search by meaning fused in. The peer is bm25s over the whole abstracts with the
same stemmer.

Evidence: the same claims as bundles. What share of the sentences that annotators marked as rationale is
contained, at several budgets, beside whole passages of the same search filled into the same tokens. And of
claims without any evidence, how many bundles say so.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import snowballstemmer  # pyright: ignore[reportMissingTypeStubs]

from benchmarks.public import Claim, SciFact, scifact
from benchmarks.registry import Extent
from benchmarks.rows import Row
from benchmarks.shelf import NOW_MS, Shelf, shelf
from context_store.items import passages_at
from context_store.meaning import Meaning, embed, lacking_vectors, ranked_by_meaning
from context_store.search import evidence_among, search
from context_store.terms import STOP_WORDS
from context_store.tokens import estimate_tokens
from context_store.weights import SentenceModel, Weights, find_weights

BUDGETS = (100, 200, 400, 800, 1_600)
_DEPTH = 100
_PEER = "bm25s, Porter stems, whole abstracts"
_TOP = "whole passages at the same tokens"

Ranking = Callable[[str], Sequence[str]]


def measure(_extent: Extent) -> list[Row]:
    """All of it; the channel by meaning only where its weights are installed."""
    data = scifact()
    with tempfile.TemporaryDirectory(prefix="bailiwick-bench-") as place, shelf(Path(place)) as library:
        library.publish([(f"d{name}.txt", _text(data, name)) for name in data.documents])
        peer = _scores(data, _peer_ranking(data))
        rows = _document_rows("by words", _scores(data, _own_ranking(library)), peer, (0.689, 0.89))
        rows += _evidence_rows(library, data)
        found = find_weights(None)
        if isinstance(found, Weights):
            library.store.meaning = Meaning(SentenceModel(found))
            embed(library.store, lacking_vectors(library.store, "bench"), _tell)
            both = _scores(data, _own_ranking(library))
            rows += _document_rows("by words and meaning", both, peer, (0.72, 0.92))
        else:
            print(f"Search by meaning is not measured: {found}.", file=sys.stderr)
        return rows


def _tell(done: int) -> None:
    if done % 512 == 0:
        print(f"{done} abstracts have their vectors.", file=sys.stderr)


def _text(data: SciFact, name: str) -> str:
    title, sentences = data.documents[name]
    plain = " ".join(title.split()).replace('"', "'")
    return f'---\ntitle: "{plain}"\n---\n{_body(sentences)}'


def _body(sentences: Sequence[str]) -> str:
    return " ".join(" ".join(sentence.split()) for sentence in sentences)


def _own_ranking(library: Shelf) -> Ranking:
    grant = library.grant()

    def ranked(need: str) -> Sequence[str]:
        reach = library.store.reach(grant, grant.release, NOW_MS).current
        with library.store.reading() as cursor:
            meant = ranked_by_meaning(library.store, cursor, reach, need)
        hits = search(reach, need, meant=meant.ranking, depth=_DEPTH)
        return list(dict.fromkeys(hit.source[1:] for hit in hits))

    return ranked


def _peer_ranking(data: SciFact) -> Ranking:
    import bm25s  # pyright: ignore[reportMissingTypeStubs]

    stem: Any = snowballstemmer.stemmer("porter")  # pyright: ignore[reportUnknownMemberType]
    library: Any = bm25s
    names = list(data.documents)

    def tokens(texts: list[str]) -> Any:
        return library.tokenize(
            texts, stopwords=sorted(STOP_WORDS), stemmer=stem.stemWords, show_progress=False
        )

    index = library.BM25()
    index.index(
        tokens([f"{data.documents[n][0]} {_body(data.documents[n][1])}" for n in names]), show_progress=False
    )

    def ranked(need: str) -> Sequence[str]:
        found, _ = index.retrieve(tokens([need]), k=50, show_progress=False)
        return [names[int(at)] for at in found[0]]

    return ranked


def _scores(data: SciFact, ranked: Ranking) -> tuple[float, float]:
    """nDCG@10 and recall at 50, over the public test split."""
    texts = {claim.id: claim.text for claim in data.claims}
    gain = recall = 0.0
    for query, relevant in data.relevant.items():
        ranking = list(ranked(texts[query]))[:50]
        gain += _ndcg(ranking, relevant)
        recall += len(set(ranking) & set(relevant)) / len(relevant)
    return gain / len(data.relevant), recall / len(data.relevant)


def _ndcg(ranking: Sequence[str], relevant: Mapping[str, int]) -> float:
    got = sum(relevant.get(name, 0) / math.log2(at + 2) for at, name in enumerate(ranking[:10]))
    best = sum(
        grade / math.log2(at + 2) for at, grade in enumerate(sorted(relevant.values(), reverse=True)[:10])
    )
    return got / best


def _document_rows(
    how: str, ours: tuple[float, float], peer: tuple[float, float], least: tuple[float, float]
) -> list[Row]:
    return [
        Row("retrieval_quality", f"{what} {how}", "share", mine, theirs, _PEER, more=True, least=bound)
        for what, mine, theirs, bound in zip(("nDCG@10", "recall at 50"), ours, peer, least, strict=True)
    ]


def _evidence_rows(library: Shelf, data: SciFact) -> list[Row]:
    """On the claims of the test split, which no weight was chosen on."""
    grant = library.grant()
    claims = [claim for claim in data.claims if claim.id in data.relevant]
    backed = [claim for claim in claims if claim.gold]
    rows: list[Row] = []
    for budget in BUDGETS:
        ours = theirs = gold = used = 0
        for claim in backed:
            bundle = library.bundle(grant, claim.text, budget)
            ours += _contained(data, claim, [_shown(str(item.id)) for item in bundle.items])
            theirs += _contained(data, claim, _top(library, claim.text, bundle.used))
            gold += len(claim.gold)
            used += bundle.used
        metric = f"rationale sentences at {budget} tokens ({used / len(backed):.0f} used)"
        rows.append(
            Row("retrieval_quality", metric, "share", ours / gold, theirs / gold, _TOP, more=True, beat=True)
        )
    without = [claim for claim in claims if not claim.gold]
    silent = sum(library.bundle(grant, claim.text, 400).sufficiency == "insufficient" for claim in without)
    metric = "claims without evidence that are told insufficient"
    rows.append(
        Row("retrieval_quality", metric, "share", silent / len(without), 0, "the nearest passage", more=True)
    )
    return rows


def _shown(name: str) -> tuple[str, int, int]:
    source, _, span = name.partition("@1:")
    start, end = span.split("-")
    return source[1:], int(start), int(end)


def _top(library: Shelf, need: str, tokens: int) -> list[tuple[str, int, int]]:
    """Whole passages of the same search, in order, each as long as it fits."""
    grant = library.grant()
    reach = library.store.reach(grant, grant.release, NOW_MS).current
    hits = evidence_among(search(reach, need))
    with library.store.reading() as cursor:
        found = passages_at(cursor, reach, [(hit.key, hit.ordinal) for hit in hits])
    spans: list[tuple[str, int, int]] = []
    for hit in hits:
        passage = found[hit.key, hit.ordinal]
        size = estimate_tokens(passage.quote)
        if size <= tokens:
            tokens -= size
            spans.append(_shown(str(passage.id)))
    return spans


def _contained(data: SciFact, claim: Claim, spans: Sequence[tuple[str, int, int]]) -> int:
    """How many of a claim's rationale sentences lie whole within the spans."""
    count = 0
    for document, number in claim.gold:
        sentences = data.documents[document][1]
        before = _body(sentences[:number])
        start = len(before) + 1 if number else 0
        end = start + len(_body(sentences[number : number + 1]))
        count += any(name == document and first <= start and end <= last for name, first, last in spans)
    return count
