"""The rows that one transaction adds to the log, gathered so that few statements insert them."""

from typing import Any

from sqlalchemy import Connection, text

from ledger.clock import rfc3339
from ledger.entries import Entry
from ledger.merkle import leaf_hash
from ledger.statements import fixed
from ledger.tables import log

_INSERT_LOG = fixed(log.insert())

# An edge that an earlier entry declared stays with that entry. Both engines know this form.
_INSERT_EDGES = fixed(
    text(
        "INSERT INTO rests_on (dependent, relation, foundation, seq) "
        "VALUES (:dependent, :relation, :foundation, :seq) ON CONFLICT DO NOTHING"
    )
)


class Tail:
    """Numbers and spells new entries after the first `size` ones."""

    __slots__ = ("_at", "_connection", "_edges", "_now_ms", "_rows", "_size", "leaves")

    def __init__(self, connection: Connection, size: int, now_ms: int) -> None:
        """All entries of one transaction carry the same time."""
        self._connection = connection
        self._size = size
        self._now_ms = now_ms
        self._at = rfc3339(now_ms)
        self._rows: list[dict[str, Any]] = []
        self._edges: list[dict[str, Any]] = []
        self.leaves: list[bytes] = []

    def append(self, entry: Entry) -> int:
        """Add an entry; its number."""
        seq = self._size + len(self.leaves) + 1
        raw = entry.encode(seq, self._at)
        leaf = leaf_hash(raw)
        self._rows.append(
            {
                "seq": seq,
                "at_ms": self._now_ms,
                "kind": entry.kind,
                "tenant": entry.tenant,
                "principal": entry.principal,
                "run": entry.run,
                "leaf": leaf,
                "entry": raw,
            }
        )
        self._edges += [{**edge._asdict(), "seq": seq} for edge in entry.rests_on]
        self.leaves.append(leaf)
        return seq

    def flush(self) -> None:
        """Insert what was gathered."""
        if self._rows:
            rows, self._rows = self._rows, []
            _INSERT_LOG.run_many(self._connection, rows)
        if self._edges:
            edges, self._edges = self._edges, []
            _INSERT_EDGES.run_many(self._connection, edges)

    def rewind(self, count: int) -> None:
        """Forget all but the first `count` entries; the rest must not have outlived their savepoint."""
        self._rows.clear()
        self._edges.clear()
        del self.leaves[count:]
