"""The benchmark of a governed call, at its smallest: the product is installed, served, called and judged."""

from __future__ import annotations

import pytest

from benchmarks import governed_call
from benchmarks.registry import Extent


@pytest.mark.slow
def test_every_kind_of_governed_call_is_measured_and_every_answer_was_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(governed_call, "CALLS", {1: 2, 2: 2})
    rows = governed_call.measure(Extent(rounds=1))
    promised = {row.metric: row.limit for row in rows if row.limit is not None}
    assert promised == {"read p50": 1.6, "refused write p50": 4.0, "approved write p50": 2.2}
    assert {row.metric for row in rows} == {
        f"{kind} {word}{clients}"
        for kind in governed_call.SIDES
        for word in ("p50", "p95")
        for clients in ("", ", 2 clients")
    }
    assert all(row.ours > 0 and row.peer > 0 for row in rows)
