"""The tables of the front desk, and where every floor's tables are declared before a ledger is opened.

A ledger creates what is declared at that moment, so whoever opens one imports this module first.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Table, Text

import context_store.tables as _context_store
import policies.tables as _policies
import tool_scopes.tables as _tool_scopes
from ledger.tables import metadata

_DECLARED = (_context_store, _policies, _tool_scopes)

operation_nonces = Table(
    "operation_nonces",
    metadata,
    Column("nonce", Text, primary_key=True),
    Column("person", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    CheckConstraint(
        "length(nonce) >= 16 AND length(person) > 0 AND at_ms >= 0", name="operation_nonces_are_used"
    ),
    Index("operation_nonces_by_time", "at_ms"),
)
"""The nonces of people's operations, kept for as long as their signatures could be sent again."""

page_sessions = Table(
    "page_sessions",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("person", Text, nullable=False),
    Column("kid", Text, nullable=False),
    Column("started_ms", BigInteger, nullable=False),
    Column("ends_ms", BigInteger, nullable=False),
    CheckConstraint("length(digest) = 64", name="page_sessions_are_digests"),
    CheckConstraint("length(person) > 0 AND length(kid) = 16", name="page_sessions_are_of_a_key"),
    CheckConstraint("started_ms >= 0 AND ends_ms > started_ms", name="page_sessions_end"),
    Index("page_sessions_by_end", "ends_ms"),
)
"""Who is signed in to the approval page. The secret itself is in the browser's cookie and nowhere else."""
