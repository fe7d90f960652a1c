"""Looking at the order desk's database from outside: the proof that a write happened once."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

Rows = frozenset[tuple[object, ...]]


def everything(database: Path) -> dict[str, Rows]:
    """All rows of all tables, read-only."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
        tables = [
            name
            for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        ]
        # Names from the database's own catalogue; nobody else's text is in the statement.
        return {table: frozenset(db.execute(f'SELECT * FROM "{table}"')) for table in tables}  # noqa: S608


def difference(
    before: dict[str, Rows], after: dict[str, Rows]
) -> dict[str, dict[str, list[tuple[object, ...]]]]:
    """What is new and what is gone, for each table that changed at all."""
    changed: dict[str, dict[str, list[tuple[object, ...]]]] = {}
    for table in before.keys() | after.keys():
        old, new = before.get(table, frozenset()), after.get(table, frozenset())
        if old != new:
            changed[table] = {"new": sorted(new - old, key=repr), "gone": sorted(old - new, key=repr)}
    return changed
