"""A whole bundle over 100,000 generated passages: search, conflicts, selection, freezing, and its record.

Each need is asked for anew, so no bundle is stored before it is measured. The peer is the least that a server
without any of this does: the search, and the best five passages read and committed to the same ledger.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from benchmarks.corpus import NOW_MS, TENANT, fill, grant, needs
from benchmarks.registry import Extent
from benchmarks.rounds import in_turn
from benchmarks.rows import Row
from context_store.bundles import build_bundle, record_bundle
from context_store.items import passages_at
from context_store.search import search
from context_store.store import KnowledgeStore
from context_store.tables import release_head, releases
from ledger.entries import Entry
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from ledger.transaction import Transaction

PASSAGES = 100_000
MOST_MS = 15.0
BUDGET = 800
_EACH = 25
_PEER = "search, five passages, one commit"


def measure(extent: Extent) -> list[Row]:
    """Its median and its slow end."""
    times: dict[str, list[float]] = {"ours": [], "peer": []}
    with tempfile.TemporaryDirectory(prefix="bailiwick-bench-") as place:
        folder = Path(place)
        with KnowledgeStore.open(folder / "knowledge.duckdb") as store:
            fill(store, PASSAGES, seed=5)
        KeyRing.create(folder / "keys")
        url, keys = f"sqlite:///{folder / 'ledger.db'}", KeyRing.load(folder / "keys")
        with (
            KnowledgeStore.open(folder / "knowledge.duckdb") as store,
            Ledger.open(url, keys, origin="bailiwick.bench/bundle") as ledger,
        ):
            _publish(ledger)
            asked = needs(store, _EACH * (extent.rounds + 1), seed=3)
            for need in asked[:_EACH]:
                _ours(store, ledger, need)
                _theirs(store, ledger, need)
            print(f"{PASSAGES} passages are indexed.", file=sys.stderr)
            for number in range(1, extent.rounds + 1):
                for side, _ in in_turn(list(times.items()), number):
                    for need in asked[number * _EACH : (number + 1) * _EACH]:
                        before = perf_counter()
                        (_ours if side == "ours" else _theirs)(store, ledger, need)
                        times[side].append((perf_counter() - before) * 1_000)
    ours, peer = sorted(times["ours"]), sorted(times["peer"])
    return [
        Row("bundle", "100k p50", "ms", ours[len(ours) // 2], peer[len(peer) // 2], _PEER, most=MOST_MS),
        Row("bundle", "100k p95", "ms", ours[len(ours) * 19 // 20], peer[len(peer) * 19 // 20], _PEER),
    ]


def _publish(ledger: Ledger) -> None:
    def move(tx: Transaction) -> None:
        tx.execute(releases.insert().values(tenant=TENANT, number=1, at_ms=NOW_MS, published_by="carol"))
        tx.execute(release_head.insert().values(tenant=TENANT, number=1))

    ledger.transact_now(move)


def _ours(store: KnowledgeStore, ledger: Ledger, need: str) -> None:
    bundle = ledger.read(
        lambda reading: build_bundle(store, reading, grant(), need, budget=BUDGET, now_ms=NOW_MS)
    )
    ledger.transact_now(lambda tx: record_bundle(tx, bundle, grant()))


def _theirs(store: KnowledgeStore, ledger: Ledger, need: str) -> None:
    reach = store.reach(grant(), 1, NOW_MS).current
    places = [(hit.key, hit.ordinal) for hit in search(reach, need)[:5]]
    with store.reading() as cursor:
        found = passages_at(cursor, reach, places)
    quotes = json.dumps([item.quote for item in found.values()])
    entry = Entry("quote.served", TENANT, {"quotes": quotes}, principal="bot", run="run_1")
    ledger.transact_now(lambda tx: tx.append(entry))
