"""A cursor of the store, by the library's own name."""

import duckdb

Cursor = duckdb.DuckDBPyConnection
"""A cursor of the store; it belongs to one thread at a time."""
