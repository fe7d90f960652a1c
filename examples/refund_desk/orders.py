"""Orders and refunds in one SQLite file: what the desk knows, without any protocol in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

SCHEMA = """
CREATE TABLE orders (
    id TEXT PRIMARY KEY,
    customer TEXT NOT NULL,
    customer_name TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('preparing', 'shipped', 'delivered')),
    placed_on TEXT NOT NULL,
    delivered_on TEXT CHECK ((delivered_on IS NULL) = (status <> 'delivered'))
) STRICT;
CREATE TABLE lines (
    order_id TEXT NOT NULL REFERENCES orders (id),
    item TEXT NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    unit_cents INTEGER NOT NULL CHECK (unit_cents >= 0)
) STRICT;
CREATE TABLE refunds (
    id INTEGER PRIMARY KEY,
    order_id TEXT NOT NULL REFERENCES orders (id),
    amount_cents INTEGER NOT NULL CHECK (amount_cents > 0),
    reason TEXT NOT NULL,
    at TEXT NOT NULL DEFAULT (datetime('now'))
) STRICT;
CREATE TABLE notes (
    id INTEGER PRIMARY KEY,
    order_id TEXT NOT NULL REFERENCES orders (id),
    note TEXT NOT NULL,
    at TEXT NOT NULL DEFAULT (datetime('now'))
) STRICT;
"""


class NoEffect(Exception):
    """The desk refuses, and nothing has changed. The message says why."""


@dataclass(frozen=True, slots=True)
class Line:
    """One position of an order. Money is in euro cents."""

    item: str
    quantity: int
    unit_cents: int


@dataclass(frozen=True, slots=True)
class Order:
    """An order as it stands now. Dates are `YYYY-MM-DD`; money is in euro cents."""

    id: str
    customer: str
    customer_name: str
    status: str
    placed_on: str
    delivered_on: str | None
    lines: tuple[Line, ...]
    refunded_cents: int
    notes: tuple[str, ...]

    @property
    def total_cents(self) -> int:
        """What the customer paid."""
        return sum(line.quantity * line.unit_cents for line in self.lines)

    @property
    def refundable_cents(self) -> int:
        """What has been paid and not been given back."""
        return self.total_cents - self.refunded_cents

    def check_refund(self, amount_cents: int) -> None:
        """Raises NoEffect when `amount_cents` cannot be refunded."""
        if amount_cents < 1:
            raise NoEffect("a refund is at least one cent")
        if amount_cents > self.refundable_cents:
            raise NoEffect(
                f"order {self.id} has {euros(self.refundable_cents)} left to refund, "
                f"which is less than {euros(amount_cents)}"
            )


class OrderDesk:
    """The desk over one database file. Every operation is one transaction."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise FileNotFoundError(
                f"there is no order database {path}; make one with examples.refund_desk.seed"
            )
        self._path = path

    def order(self, order_id: str) -> Order:
        """The order. Raises NoEffect when there is none."""
        with self._reading() as db:
            return _order(db, order_id)

    def orders_of(self, customer: str) -> tuple[Order, ...]:
        """A customer's orders, the newest first; empty for somebody whom nobody knows."""
        with self._reading() as db:
            ids = db.execute(
                "SELECT id FROM orders WHERE customer = ? ORDER BY placed_on DESC, id DESC LIMIT 50",
                (customer,),
            ).fetchall()
            return tuple(_order(db, row["id"]) for row in ids)

    def refund(self, order_id: str, amount_cents: int, reason: str) -> Order:
        """Give money back and return the order afterwards. Raises NoEffect when it cannot be given."""
        with self._writing() as db:
            # Read inside the writing transaction, or two refunds at once would both find the money.
            _order(db, order_id).check_refund(amount_cents)
            db.execute(
                "INSERT INTO refunds (order_id, amount_cents, reason) VALUES (?, ?, ?)",
                (order_id, amount_cents, reason),
            )
            return _order(db, order_id)

    def add_note(self, order_id: str, note: str) -> Order:
        """Write a note to the order's file and return the order.

        Raises NoEffect when there is no such order.
        """
        with self._writing() as db:
            _order(db, order_id)
            db.execute("INSERT INTO notes (order_id, note) VALUES (?, ?)", (order_id, note))
            return _order(db, order_id)

    @contextmanager
    def _reading(self) -> Generator[sqlite3.Connection]:
        # isolation_level=None: transactions begin where they are written, not where the driver guesses.
        with closing(sqlite3.connect(self._path, isolation_level=None)) as db:
            db.row_factory = sqlite3.Row
            yield db

    @contextmanager
    def _writing(self) -> Generator[sqlite3.Connection]:
        with self._reading() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")


def euros(cents: int) -> str:
    """An amount as people write it: `84.50 EUR`."""
    return f"{cents // 100}.{cents % 100:02d} EUR"


def _order(db: sqlite3.Connection, order_id: str) -> Order:
    row = db.execute("SELECT * FROM orders WHERE id = ?", (order_id,)).fetchone()
    if row is None:
        raise NoEffect(f"there is no order {order_id}")
    lines = db.execute(
        "SELECT item, quantity, unit_cents FROM lines WHERE order_id = ? ORDER BY rowid", (order_id,)
    )
    refunded = db.execute(
        "SELECT coalesce(sum(amount_cents), 0) FROM refunds WHERE order_id = ?", (order_id,)
    )
    notes = db.execute("SELECT note FROM notes WHERE order_id = ? ORDER BY id", (order_id,))
    return Order(
        **dict(row),
        lines=tuple(Line(**dict(line)) for line in lines),
        refunded_cents=refunded.fetchone()[0],
        notes=tuple(note["note"] for note in notes),
    )
