"""What a benchmark says: rows of two numbers and their ratio, as JSON for programs, as a table for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison, measured in one run. `ours` and `peer` are in `unit`; less is better, or with `more`,
    more is.

    `metric` says in words what was measured. What was promised is shown to people and does not stand in the
    JSON: `limit` is the largest ratio, `most` the largest and `least` the smallest value of ours in `unit`,
    and with `beat` ours is more than the peer's. None where nothing was.
    """

    name: str
    metric: str
    unit: str
    ours: float
    peer: float
    peer_name: str
    limit: float | None = None
    most: float | None = None
    more: bool = False
    least: float | None = None
    beat: bool = False

    @property
    def ratio(self) -> float:
        """Ours over the peer's; 0 where the peer's is 0, which no ratio can say."""
        return self.ours / self.peer if self.peer else 0.0

    @property
    def kept(self) -> bool:
        """Whether what was measured is within what was promised."""
        return (
            (self.limit is None or self.ratio <= self.limit)
            and (self.most is None or self.ours <= self.most)
            and (self.least is None or self.ours >= self.least)
            and (not self.beat or self.ours > self.peer)
        )

    @property
    def promise(self) -> str:
        """What was promised, in a few signs; empty where nothing was."""
        ratio = [] if self.limit is None else [f"ratio ≤ {self.limit:g}"]
        value = [] if self.most is None else [f"≤ {self.most:g} {self.unit}"]
        value += [] if self.least is None else [f"≥ {self.least:g} {self.unit}"]
        value += ["more than the peer"] if self.beat else []
        return ", ".join(ratio + value)

    def as_json(self) -> dict[str, Any]:
        """The row as it stands in a JSON file."""
        return {
            "name": self.name,
            "metric": self.metric,
            "unit": self.unit,
            "ours": round(self.ours, 4),
            "peer": round(self.peer, 4),
            "peer_name": self.peer_name,
            "ratio": round(self.ratio, 4),
        }


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """Write the rows as one JSON array, whole or not at all."""
    text = json.dumps([row.as_json() for row in rows], indent=2, ensure_ascii=False)
    beside = path.with_name(path.name + ".part")
    beside.write_text(text + "\n", encoding="utf-8")
    beside.replace(path)


def print_rows(rows: Sequence[Row], console: Console) -> None:
    """Print the rows as one table for each benchmark."""
    for name in dict.fromkeys(row.name for row in rows):
        table = Table(title=name, title_justify="left")
        table.add_column("metric")
        table.add_column("ours", justify="right")
        table.add_column("peer", justify="right")
        table.add_column("unit")
        table.add_column("peer's name")
        table.add_column("ratio", justify="right")
        table.add_column("promised")
        for row in rows:
            if row.name == name:
                cells = (row.metric, f"{row.ours:.3f}", f"{row.peer:.3f}", row.unit, row.peer_name)
                table.add_row(*cells, f"{row.ratio:.2f}", row.promise, style=None if row.kept else "bold red")
        console.print(table)
