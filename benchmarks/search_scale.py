"""A search in process over 100,000 and a million passages: three to six words, labels, validity, the top 50.

The passages are generated (`corpus`). Ours and tantivy answer the same needs in alternating rounds; both
answers are compared, and a need on which they share less than half of the best ten ends the benchmark. Memory
is that of a fresh process that opens the store and searches.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from benchmarks.calls import WrongAnswer
from benchmarks.corpus import NOW_MS, fill, grant, needs
from benchmarks.processes import ROOT
from benchmarks.registry import Extent
from benchmarks.rounds import in_turn
from benchmarks.rows import Row
from benchmarks.tantivy_peer import Tantivy
from context_store.search import DEPTH, search
from context_store.store import KnowledgeStore

SIZES = {"100k": (100_000, 1.0), "1m": (1_000_000, 5.0)}
MEMORY_MOST_MB = 600.0
_NEEDS = 150
_PEER = "tantivy"
_AGREE = 0.5


def measure(extent: Extent) -> list[Row]:
    """Both sizes. Building the million takes some minutes and below 3 GiB."""
    rows: list[Row] = []
    for name, (passages, most_ms) in SIZES.items():
        with tempfile.TemporaryDirectory(prefix="bailiwick-bench-") as place:
            rows += _measure(Path(place), name, passages, most_ms, max(2, extent.rounds // 4))
    return rows


def _measure(folder: Path, name: str, passages: int, most_ms: float, rounds: int) -> list[Row]:
    (folder / "tantivy").mkdir()
    peer = Tantivy(folder / "tantivy")
    path = folder / "knowledge.duckdb"
    with KnowledgeStore.open(path) as store:
        fill(store, passages, seed=7, told=peer.add)
    peer.commit()
    print(f"{name}: {passages} passages are indexed on both sides.", file=sys.stderr)
    # Opened again: what writing left in memory is no part of searching.
    with KnowledgeStore.open(path) as store:
        asked = needs(store, _NEEDS, seed=11)
        before = perf_counter()
        store.reach(grant(), 1, NOW_MS)
        loaded = perf_counter() - before
        _check(store, peer, asked)
        times: dict[str, list[float]] = {"ours": [], "peer": []}
        for number in range(rounds):
            for side, _ in in_turn(list(times.items()), number):
                times[side] += [_time(store, peer, side, need) for need in asked]
    memory = _memory(path)
    ours, theirs = (sorted(times[side]) for side in ("ours", "peer"))
    rows = [
        Row(
            "search_scale",
            f"{name} p50",
            "ms",
            _at(ours, 0.5),
            _at(theirs, 0.5),
            _PEER,
            limit=1.0,
            most=most_ms,
        ),
        Row("search_scale", f"{name} p95", "ms", _at(ours, 0.95), _at(theirs, 0.95), _PEER),
        Row("search_scale", f"{name} index loaded", "s", loaded, 0.0, "opens its files as they are"),
    ]
    if name == "1m":
        rows.append(
            Row("search_scale", f"{name} memory", "MB", memory, 0.0, "maps its files", most=MEMORY_MOST_MB)
        )
    return rows


def _time(store: KnowledgeStore, peer: Tantivy, side: str, need: str) -> float:
    before = perf_counter()
    if side == "ours":
        search(store.reach(grant(), 1, NOW_MS).current, need)
    else:
        peer.search(need, DEPTH)
    return (perf_counter() - before) * 1_000


def _check(store: KnowledgeStore, peer: Tantivy, asked: list[str]) -> None:
    """Frequencies are counted within the grant here, over everything there: the order differs a little."""
    shared = wanted = 0
    for need in asked:
        ours = {
            hit.key * 100 + hit.ordinal for hit in search(store.reach(grant(), 1, NOW_MS).current, need)[:10]
        }
        shared += len(ours & set(peer.search(need, 10)))
        wanted += len(ours)
    if shared < _AGREE * wanted:
        raise WrongAnswer(f"ours and the peer share {shared} of {wanted} of the best ten passages")


def _memory(path: Path) -> float:
    """Resident megabytes of a process that has the index loaded and searched, over one that only imported."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "import numpy\n"
        "from benchmarks.corpus import NOW_MS, grant, needs\n"
        "from context_store.search import search\n"
        "from context_store.store import KnowledgeStore\n"
        "def resident():\n"
        "    lines = Path('/proc/self/status').read_text().splitlines()\n"
        "    return int(next(line for line in lines if line.startswith('VmRSS')).split()[1]) / 1024\n"
        "with KnowledgeStore.open(sys.argv[1]) as store:\n"
        "    asked = needs(store, 50, 11)\n"
        "    before = resident()\n"
        "    for need in asked:\n"
        "        search(store.reach(grant(), 1, NOW_MS).current, need)\n"
        "    print(resident() - before)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    return float(ended.stdout)


def _at(times: list[float], share: float) -> float:
    return times[int(share * (len(times) - 1))]
