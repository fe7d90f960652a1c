"""The database of a tau upstream: documents in SQLite, and a journal that SQLite's own triggers keep.

The upstream is one process and the test another. The test takes a look at what really changed without asking
the upstream, and puts everything back before the next task: a control that no agent can reach.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

Document = dict[str, Any]

_SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE documents (kind TEXT, id TEXT, text TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE TABLE pristine (kind TEXT, id TEXT, text TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE TABLE calls (number INTEGER PRIMARY KEY, tool TEXT NOT NULL, arguments TEXT NOT NULL);
CREATE TABLE journal (number INTEGER PRIMARY KEY, kind TEXT, id TEXT, before TEXT, after TEXT);
CREATE TRIGGER inserted AFTER INSERT ON documents BEGIN
    INSERT INTO journal (kind, id, before, after) VALUES (new.kind, new.id, NULL, new.text); END;
CREATE TRIGGER updated AFTER UPDATE ON documents BEGIN
    INSERT INTO journal (kind, id, before, after) VALUES (new.kind, new.id, old.text, new.text); END;
CREATE TRIGGER deleted AFTER DELETE ON documents BEGIN
    INSERT INTO journal (kind, id, before, after) VALUES (old.kind, old.id, old.text, NULL); END;
"""

_RESET = """
BEGIN IMMEDIATE;
DELETE FROM documents AS d WHERE NOT EXISTS (
    SELECT 1 FROM pristine AS p WHERE p.kind = d.kind AND p.id = d.id AND p.text = d.text);
INSERT OR IGNORE INTO documents SELECT * FROM pristine;
COMMIT;
"""


class Refused(Exception):
    """A tool does not do what was asked; its text is what the agent reads. Nothing was changed."""


class Database:
    """The documents, as the tools see them. Each `with` block is one transaction."""

    def __init__(self, path: Path) -> None:
        self._sql = sqlite3.connect(path, isolation_level=None, timeout=30)
        self._sql.execute("PRAGMA synchronous = OFF")

    def __enter__(self) -> Database:
        self._sql.execute("BEGIN IMMEDIATE")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        self._sql.execute("COMMIT" if kind is None else "ROLLBACK")

    def get(self, kind: str, document_id: str, what: str) -> Document:
        """One document; `Refused` when there is none."""
        query = "SELECT text FROM documents WHERE kind = ? AND id = ?"
        row = self._sql.execute(query, (kind, document_id)).fetchone()
        if row is None:
            raise Refused(f"{what} not found")
        return json.loads(row[0])

    def has(self, kind: str, document_id: str) -> bool:
        """Whether there is such a document."""
        query = "SELECT 1 FROM documents WHERE kind = ? AND id = ?"
        return self._sql.execute(query, (kind, document_id)).fetchone() is not None

    def all(self, kind: str) -> Iterator[tuple[str, Document]]:
        """Every document of a kind, in the order of their ids."""
        rows = self._sql.execute("SELECT id, text FROM documents WHERE kind = ? ORDER BY id", (kind,))
        for document_id, text in rows.fetchall():
            yield document_id, json.loads(text)

    def put(self, kind: str, document_id: str, document: Document) -> None:
        """Store a document whole; one that is as it was is left alone."""
        sql = (
            "INSERT INTO documents VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET text = excluded.text"
            " WHERE text <> excluded.text"
        )
        self._sql.execute(sql, (kind, document_id, json.dumps(document)))

    def note_call(self, tool: str, arguments: Document) -> None:
        """Write down a call that arrived, before anything else happens."""
        sql = "INSERT INTO calls (tool, arguments) VALUES (?, ?)"
        self._sql.execute(sql, (tool, json.dumps(arguments)))


class Outside:
    """The same database as the test sees and resets it."""

    def __init__(self, path: Path, documents: Mapping[str, Mapping[str, Document]]) -> None:
        self._sql = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
        self._sql.executescript(_SCHEMA)
        rows = [(kind, key, json.dumps(one)) for kind, many in documents.items() for key, one in many.items()]
        self._sql.execute("BEGIN")
        self._sql.executemany("INSERT INTO pristine VALUES (?, ?, ?)", rows)
        self._sql.execute("INSERT INTO documents SELECT * FROM pristine")
        self._sql.execute("COMMIT")
        self._seen = 0
        self.reset()

    def close(self) -> None:
        """Let go of the file."""
        self._sql.close()

    def reset(self) -> None:
        """Every document as it was at first; what happened before is no longer told by `changes`."""
        self._sql.executescript(_RESET)
        self._seen = self._last()

    def pristine(self, kind: str, document_id: str) -> Document | None:
        """A document as each task finds it."""
        query = "SELECT text FROM pristine WHERE kind = ? AND id = ?"
        row = self._sql.execute(query, (kind, document_id)).fetchone()
        return None if row is None else json.loads(row[0])

    def changes(self) -> list[Document]:
        """What changed since this was asked last: `path`, `old` and `new`, null for what is not there."""
        since, self._seen = self._seen, self._last()
        query = "SELECT kind, id, before, after FROM journal WHERE number > ? AND number <= ? ORDER BY number"
        first: dict[tuple[str, str], str | None] = {}
        last: dict[tuple[str, str], str | None] = {}
        for kind, key, before, after in self._sql.execute(query, (since, self._seen)):
            first.setdefault((kind, key), before)
            last[kind, key] = after
        found: list[Document] = []
        for (kind, key), before in first.items():
            after = last[kind, key]
            old, new = (None if text is None else json.loads(text) for text in (before, after))
            found += differences(f"/{kind}/{key}", old, new)
        return sorted(found, key=lambda one: one["path"])

    def calls(self) -> list[tuple[str, Document]]:
        """Every call that ever arrived, in order."""
        rows = self._sql.execute("SELECT tool, arguments FROM calls ORDER BY number")
        return [(tool, json.loads(arguments)) for tool, arguments in rows]

    def count(self) -> int:
        """How many calls have arrived."""
        return int(self._sql.execute("SELECT count(*) FROM calls").fetchone()[0])

    def _last(self) -> int:
        return int(self._sql.execute("SELECT coalesce(max(number), 0) FROM journal").fetchone()[0])


def differences(path: str, old: Any, new: Any) -> list[Document]:
    """Where two documents differ, down to the objects' members; a list differs as a whole."""
    if isinstance(old, dict) and isinstance(new, dict):
        before, after = cast("Document", old), cast("Document", new)
        keys = dict.fromkeys([*before, *after])
        return [one for key in keys for one in differences(f"{path}/{key}", before.get(key), after.get(key))]
    return [] if old == new else [{"path": path, "old": old, "new": new}]
