"""What a work function is given: a `Reading`, which sees one snapshot, or a `Transaction`, which also writes.

A function that only looks takes a `Reading` and then works in both.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Connection, CursorResult, Executable
from sqlalchemy.exc import MultipleResultsFound

from ledger.entries import Entry
from ledger.statements import AnyRow, Fixed, Values
from ledger.tail import Tail

__all__ = ["AnyRow", "Parameters", "Reading", "Transaction"]

Parameters: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""Values for one execution, or for several of the same statement."""


class Reading:
    """One consistent view of the ledger's tables."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        """Over a connection that is inside a transaction."""
        self._connection = connection

    @property
    def connection(self) -> Connection:
        """The SQLAlchemy connection, for what the methods here do not offer."""
        return self._connection

    def execute(
        self, statement: Executable, params: Parameters | None = None
    ) -> CursorResult[*tuple[Any, ...]]:
        """Run a statement, once or for each element of a sequence of parameters."""
        return self.connection.execute(statement, params)

    def one(self, statement: Executable | Fixed, params: Values | None = None) -> AnyRow | None:
        """The only row, or None; more than one is an error."""
        if not isinstance(statement, Fixed):
            return self.execute(statement, params).one_or_none()
        rows = statement.rows(self.connection, params or {})
        if len(rows) > 1:
            raise MultipleResultsFound("Several rows were found where one at most was expected.")
        return rows[0] if rows else None

    def all(self, statement: Executable | Fixed, params: Values | None = None) -> list[AnyRow]:
        """Every row."""
        if isinstance(statement, Fixed):
            return statement.rows(self.connection, params or {})
        return list(self.execute(statement, params).all())

    def run(self, statement: Fixed, params: Values) -> None:
        """Run a fixed statement for its effect."""
        statement.run(self.connection, params)


class Transaction(Reading):
    """Part of one ledger transaction, in which state and log change together or not at all.

    Nobody else writes meanwhile, so what was read stays true until the end. If the work raises, its
    statements and entries are undone and no others.
    """

    __slots__ = ("_tail", "clock_behind_ms", "now_ms")

    def __init__(self, connection: Connection, tail: Tail, now_ms: int, clock_behind_ms: int) -> None:
        """`now_ms`: this transaction's time, by the database's clock but never behind the last signed head.

        `clock_behind_ms`: how far the clock stands behind that head; 0 unless somebody set it back.
        """
        super().__init__(connection)
        self._tail = tail
        self.now_ms = now_ms
        self.clock_behind_ms = clock_behind_ms

    @property
    def connection(self) -> Connection:
        """The SQLAlchemy connection; entries appended before are visible to its statements."""
        self._tail.flush()
        return self._connection

    def append(self, entry: Entry) -> int:
        """Add an entry to the log and return its number, which is final if the transaction is."""
        return self._tail.append(entry)
