"""A fresh order database: `python -m examples.refund_desk.seed FILE`."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from examples.refund_desk.orders import SCHEMA

# order, customer, name, status, days since it was placed, days since it was delivered
ORDERS = (
    ("o-1001", "c-17", "Mara Lindqvist", "delivered", 14, 9),
    ("o-1002", "c-22", "Tomás Ferreira", "delivered", 20, 3),
    ("o-1003", "c-31", "Aiko Tanaka", "delivered", 75, 68),
    ("o-1004", "c-22", "Tomás Ferreira", "delivered", 31, 25),
    ("o-1005", "c-17", "Mara Lindqvist", "preparing", 1, None),
)
LINES = (
    ("o-1001", "Alder kettle, 1.2 l", 1, 6450),
    ("o-1001", "Descaling sachets, box of 10", 2, 1000),
    ("o-1002", "Birch desk lamp", 1, 8900),
    ("o-1003", "Rowan wool blanket", 1, 11900),
    ("o-1004", "Hazel cutting board", 2, 2750),
    ("o-1005", "Gift card", 1, 5000),
)
REFUNDS = (("o-1004", 2750, "One of two boards arrived cracked."),)
NOTES = (
    ("o-1001", "Customer wrote: the lid of the kettle was cracked on arrival; sent two photos."),
    ("o-1002", "Carrier handed the parcel over 12 days after the promised day."),
)


def seed(path: Path, today: date | None = None) -> None:
    """Write a fresh database at `path`, in place of an older one.

    Dates count back from `today` (by default UTC's).
    """
    day = today or datetime.now(tz=UTC).date()

    def ago(days: int | None) -> str | None:
        return None if days is None else (day - timedelta(days=days)).isoformat()

    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as db:
        db.executescript(SCHEMA)
        for order, customer, name, status, placed, delivered in ORDERS:
            row = (order, customer, name, status, ago(placed), ago(delivered))
            db.execute("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)", row)
        db.executemany("INSERT INTO lines VALUES (?, ?, ?, ?)", LINES)
        db.executemany("INSERT INTO refunds (order_id, amount_cents, reason) VALUES (?, ?, ?)", REFUNDS)
        db.executemany("INSERT INTO notes (order_id, note) VALUES (?, ?)", NOTES)
        db.commit()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m examples.refund_desk.seed FILE")
    seed(Path(sys.argv[1]))
    print(sys.argv[1])
