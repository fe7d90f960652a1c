"""The benchmarks by name. A new one is one entry here and one module that measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from benchmarks.rows import Row


@dataclass(frozen=True, slots=True)
class Extent:
    """How much to measure. `rounds` is how often the subjects take turns."""

    rounds: int


Measure = Callable[[Extent], list[Row]]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark: what it measures in one sentence, and how to get at its measuring function.

    `load` imports the benchmark's module only when it is run, so that listing them needs nothing.
    """

    sentence: str
    load: Callable[[], Measure]


def _governed_call() -> Measure:
    from benchmarks.governed_call import measure

    return measure


def _contextforge() -> Measure:
    from benchmarks.contextforge import measure

    return measure


def _decision() -> Measure:
    from benchmarks.decision import measure

    return measure


def _ledger() -> Measure:
    from benchmarks.ledger import measure

    return measure


def _startup() -> Measure:
    from benchmarks.startup import measure

    return measure


def _import() -> Measure:
    from benchmarks.importing import measure

    return measure


def _crash() -> Measure:
    from benchmarks.crashing import measure

    return measure


def _conflicts() -> Measure:
    from benchmarks.conflicts import measure

    return measure


def _retrieval_quality() -> Measure:
    from benchmarks.retrieval_quality import measure

    return measure


def _search_scale() -> Measure:
    from benchmarks.search_scale import measure

    return measure


def _bundle() -> Measure:
    from benchmarks.bundle import measure

    return measure


BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        "governed_call": Benchmark(
            "A governed tools/call over HTTP, against the same tool served bare and behind a bare proxy.",
            _governed_call,
        ),
        "contextforge": Benchmark(
            "A governed tools/call beside mcp-contextforge-gateway, where an environment of it is named.",
            _contextforge,
        ),
        "decision": Benchmark(
            "A policy decision alone on one core: new questions and known ones, against bare Cedar.",
            _decision,
        ),
        "ledger": Benchmark(
            "Verifying a log, proving things in one of a million entries, appending beside a bare table.",
            _ledger,
        ),
        "startup": Benchmark(
            "From nothing to the first answered request, and the time that importing takes.", _startup
        ),
        "import": Benchmark(
            "Importing 10,000 pages, and adding one to them and publishing, beside SQLite's full-text index.",
            _import,
        ),
        "crash": Benchmark(
            "What is lost, torn or doubled when importing, publishing and serving are killed 100 times.",
            _crash,
        ),
        "retrieval_quality": Benchmark(
            "What is found among public abstracts: documents ranked, and evidence sentences in bundles.",
            _retrieval_quality,
        ),
        "conflicts": Benchmark("Contradictions found in public documents that misinform.", _conflicts),
        "search_scale": Benchmark(
            "A search over 100,000 and a million passages, against tantivy.", _search_scale
        ),
        "bundle": Benchmark("A whole bundle over 100,000 passages, recorded.", _bundle),
    }
)
