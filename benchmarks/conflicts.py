"""Contradictions in public material: RAMDocs, whose documents say right and wrong things about one question.

Each question's documents are a corpus of their own, and the question is the need. It counts as found when a
document that misinforms and one that is correct are both in the bundle and the bundle says that it is
contradictory; a flag is false on a question that has neither misinformation nor several correct answers.
Questions with several correct answers and no misinformation count as neither. The peer is the rule that
flags whatever shows two documents.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.public import ramdocs
from benchmarks.registry import Extent
from benchmarks.rows import Row
from benchmarks.shelf import Shelf, shelf

BUDGET = 2_000
PEER = "flag whatever shows two documents"
_KINDS = ("number", "date", "name", "negation")


def measure(_extent: Extent) -> list[Row]:
    """Recall and precision, of all questions and of the half that no threshold was chosen on."""
    questions = ramdocs()
    judged: list[tuple[str, bool, bool, frozenset[str]]] = []
    with tempfile.TemporaryDirectory(prefix="bailiwick-bench-") as place, shelf(Path(place)) as library:
        for number, question in enumerate(questions):
            judged.append(_judge(library, number, question))
    rows = _rates(judged, "all questions", promised=True)
    rows += _rates(judged[1::2], "held-out half", promised=False)
    flagged = Counter(
        kind for label, found, _, kinds in judged if label == "positive" and found for kind in kinds
    )
    rows += [
        Row(
            "conflicts", f"found by a {kind}", "questions", flagged[kind], 0, "none looks at kinds", more=True
        )
        for kind in _KINDS
    ]
    return rows


def _judge(library: Shelf, number: int, question: dict[str, Any]) -> tuple[str, bool, bool, frozenset[str]]:
    tenant = f"q{number}"
    documents = question["documents"]
    library.publish([(f"d{at}.txt", document["text"]) for at, document in enumerate(documents)], tenant)
    bundle = library.bundle(library.grant(tenant), question["question"], BUDGET)
    shown = {documents[int(item.id.source[1:])]["type"] for item in bundle.items} | {
        documents[int(other.source[1:])]["type"] for item in bundle.items for other in item.also
    }
    sources = {item.id.source for item in bundle.items}
    label = _label(question)
    flagged = bundle.sufficiency == "contradictory"
    both = label != "positive" or {"misinfo", "correct"} <= shown
    return label, flagged and both, len(sources) > 1 and both, frozenset(one.kind for one in bundle.conflicts)


def _label(question: dict[str, Any]) -> str:
    types = {document["type"] for document in question["documents"]}
    if {"misinfo", "correct"} <= types:
        return "positive"
    return "neither" if "misinfo" in types or len(question["gold_answers"]) > 1 else "negative"


def _rates(judged: list[tuple[str, bool, bool, frozenset[str]]], which: str, *, promised: bool) -> list[Row]:
    ours = _rate([(label, found) for label, found, _, _ in judged])
    peer = _rate([(label, found) for label, _, found, _ in judged])
    least = (0.6, 0.8) if promised else (None, None)
    return [
        Row("conflicts", f"{what}, {which}", "share", mine, theirs, PEER, more=True, least=bound)
        for what, mine, theirs, bound in zip(("recall", "precision"), ours[:2], peer[:2], least, strict=True)
    ] + [Row("conflicts", f"false flags, {which}", "share", ours[2], peer[2], PEER)]


def _rate(judged: list[tuple[str, bool]]) -> tuple[float, float, float]:
    """Recall, precision, and the share of negatives that were flagged."""
    counts = Counter(judged)
    hit, missed = counts["positive", True], counts["positive", False]
    false, right = counts["negative", True], counts["negative", False]
    return hit / max(1, hit + missed), hit / max(1, hit + false), false / max(1, false + right)
