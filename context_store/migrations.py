"""Schemas of the knowledge store's file: which one this version writes, and how an older one becomes it.

Each step takes a file from one schema to the next. Opening a file runs the steps that it lacks, in one
transaction, so that a crash leaves it at the schema before or after. A file of a newer schema is refused:
only the version that wrote it knows what it holds. A schema counts from its first release; until then it may
change.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import duckdb

from context_store.errors import StoreUnavailable

Step = Callable[[duckdb.DuckDBPyConnection], object]

SCHEMA_VERSION: Final = 1
"""The schema that this version writes."""

STEPS: Final[Mapping[int, Step]] = MappingProxyType({})
"""From the schema of each released version that is older, to the one after it."""


def migrate(
    connection: duckdb.DuckDBPyConnection,
    place: object,
    *,
    to: int = SCHEMA_VERSION,
    steps: Mapping[int, Step] = STEPS,
) -> None:
    """Bring an opened file to the schema `to`. Raises `StoreUnavailable` when no way leads there."""
    found = _schema_of(connection)
    if found == to:
        return
    if found is None or found > to:
        raise StoreUnavailable(
            f"The knowledge store {place} has schema {'unknown' if found is None else found} and this version"
            f" reads up to {to}; use the version that wrote it."
        )
    missing = [number for number in range(found, to) if number not in steps]
    if missing:
        raise StoreUnavailable(
            f"The knowledge store {place} has schema {found}, which this version no longer reads; open it"
            " once with a version in between."
        )
    connection.execute("BEGIN TRANSACTION")
    try:
        for number in range(found, to):
            steps[number](connection)
        connection.execute("UPDATE store_info SET value = $value WHERE name = 'schema'", {"value": str(to)})
        connection.execute("COMMIT")
    except duckdb.Error as error:
        connection.execute("ROLLBACK")
        raise StoreUnavailable(
            f"The knowledge store {place} could not be brought from schema {found} to {to} and is as it was;"
            " report this."
        ) from error


def _schema_of(connection: duckdb.DuckDBPyConnection) -> int | None:
    # All rows, though there is one: an answer that is not read to its end keeps its snapshot open, and with
    # it every older state of the file, for as long as the connection lives.
    rows = connection.execute("SELECT value FROM store_info WHERE name = 'schema'").fetchall()
    return int(rows[0][0]) if rows and str(rows[0][0]).isdecimal() else None
