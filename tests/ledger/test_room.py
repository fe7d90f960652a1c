"""Making the write-ahead log large survives a death in the middle of it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ledger.ledger import Ledger


@pytest.mark.parametrize("long_ago", [True, False], ids=["the log is small again", "the log is large"])
def test_who_was_killed_while_making_room_keeps_nobody_from_starting(
    ledger: Ledger, path: Path, long_ago: bool
) -> None:
    if not long_ago:
        ledger.make_room()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE room (filling BLOB)")
    ledger.make_room()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master WHERE name = 'room'").fetchall() == []
    assert path.with_name(f"{path.name}-wal").stat().st_size > 1_000_000
