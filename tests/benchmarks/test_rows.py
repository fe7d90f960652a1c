"""What a benchmark writes for programs, and prints for people."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.rows import Row, print_rows, write_rows

READ = Row("governed_call", "read p50", "ms", 2.25, 1.5, "bare pass-through proxy", limit=1.6)
REFUSED = Row("governed_call", "refused write p50", "ms", 1.5, 0.3, "bare direct server", limit=4.0)
START = Row("startup", "import", "s", 0.6, 0.4, "bare SDK", most=1.0)
SLOW_START = Row("startup", "import", "s", 1.2, 1.1, "bare SDK", most=1.0)


def test_a_row_in_json_has_exactly_the_promised_keys() -> None:
    assert READ.as_json() == {
        "name": "governed_call",
        "metric": "read p50",
        "unit": "ms",
        "ours": 2.25,
        "peer": 1.5,
        "peer_name": "bare pass-through proxy",
        "ratio": 1.5,
    }


@pytest.mark.parametrize(
    ("row", "kept"), [(READ, True), (REFUSED, False), (START, True), (SLOW_START, False)]
)
def test_a_promise_is_kept_by_ratio_or_by_value(row: Row, kept: bool) -> None:
    assert row.kept is kept


def test_rows_are_written_as_one_array_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text("what an earlier run wrote")
    write_rows([READ, START], path)
    assert json.loads(path.read_text()) == [READ.as_json(), START.as_json()]
    assert list(tmp_path.iterdir()) == [path]


def test_the_table_shows_every_row_under_its_benchmark() -> None:
    shown = io.StringIO()
    print_rows([READ, REFUSED, START], Console(file=shown, width=160))
    text = shown.getvalue()
    assert text.index("governed_call") < text.index("refused write p50") < text.index("startup")
    assert "ratio ≤ 1.6" in text
    assert "≤ 1 s" in text
    assert "5.00" in text
