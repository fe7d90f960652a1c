"""The benchmark of the ledger, at its smallest: every metric is there, and what it checks was right."""

from __future__ import annotations

import pytest

from benchmarks import ledger
from benchmarks.registry import Extent


def test_every_metric_is_measured_beside_its_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ENTRIES": 160, "LONG": 8_000, "PROOFS": 3, "APPENDS": 8}.items():
        monkeypatch.setattr(ledger, name, value)
    rows = ledger.measure(Extent(rounds=1))
    promised = {row.metric: row.most for row in rows if row.most is not None}
    assert promised == {
        "verify, newest signature": 10.0,
        "inclusion proof, 1m p50": 1.0,
        "consistency proof, 1m p50": 1.0,
    }
    assert len(rows) == 6
    assert all(row.ours > 0 and row.peer > 0 for row in rows)
