"""The tables of the book itself, and the `metadata` on which every floor declares its own.

`log` is the truth; `heads` commits to it; `tree` keeps hashes of it that make proofs fast; `rests_on` is an
index of the edges that entries declare, to answer "what rests on this?". All of them only grow. Columns of
`log` beside `entry` repeat what its bytes say, to be searchable; `verify` holds them to the bytes.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

from ledger.append_only import append_only

metadata = MetaData()
"""Declare a floor's tables on this, and `Ledger.open` creates them."""

# SQLite makes a primary key its row id only if the type is spelled INTEGER; it holds 64 bits all the same.
_NUMBER = BigInteger().with_variant(Integer, "sqlite")

log = Table(
    "log",
    metadata,
    Column("seq", _NUMBER, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("principal", Text),
    Column("run", Text),
    Column("leaf", LargeBinary, nullable=False),
    Column("entry", LargeBinary, nullable=False),
    CheckConstraint("seq >= 1", name="log_counts_from_one"),
    CheckConstraint("at_ms >= 0", name="log_has_a_time"),
    CheckConstraint("kind LIKE '%_._%'", name="log_kind_is_noun_verb"),
    CheckConstraint("length(tenant) > 0", name="log_has_a_tenant"),
    CheckConstraint("length(leaf) = 32", name="log_leaf_is_sha256"),
    CheckConstraint("length(entry) > 0", name="log_entry_is_not_empty"),
    CheckConstraint("principal IS NULL OR length(principal) > 0", name="log_names_a_principal_or_none"),
    CheckConstraint("run IS NULL OR length(run) > 0", name="log_names_a_run_or_none"),
)
"""Entries in order, without gaps. `leaf` is the RFC 6962 leaf hash of `entry`: proofs need only it, and a
changed entry can be told from its neighbours in one signed group."""

Index("log_by_run", log.c.run, log.c.seq)

heads = Table(
    "heads",
    metadata,
    Column("size", _NUMBER, ForeignKey("log.seq"), primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    CheckConstraint("length(root) = 32", name="heads_root_is_sha256"),
    CheckConstraint("length(note) > 0", name="heads_are_signed"),
    CheckConstraint("length(frontier) > 0 AND length(frontier) % 32 = 0", name="heads_frontier_is_hashes"),
    CheckConstraint("size >= 1 AND at_ms >= 0", name="heads_cover_something_at_a_time"),
)
"""One signed head for every committed group. `frontier`: the compact range; appending needs no old entry."""

tree = Table(
    "tree",
    metadata,
    Column("position", _NUMBER, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    CheckConstraint("position >= 63", name="tree_keeps_larger_subtrees"),
    CheckConstraint("length(hash) = 32", name="tree_hash_is_sha256"),
)
"""The hashes of perfect subtrees of 64 leaves and more, each written once, with its last leaf: 1 row for 32
entries. `position` is that of `ledger.merkle.Node`. Proofs read these and at most two runs of 64 leaves.
"""

rests_on = Table(
    "rests_on",
    metadata,
    Column("dependent", Text, primary_key=True),
    Column("relation", Text, primary_key=True),
    Column("foundation", Text, primary_key=True),
    Column("seq", _NUMBER, ForeignKey("log.seq"), nullable=False),
    CheckConstraint(
        "length(dependent) > 0 AND length(relation) > 0 AND length(foundation) > 0",
        name="rests_on_names_both_ends",
    ),
    sqlite_with_rowid=False,
)
"""Each edge once, with the number of the entry that first declared it."""

Index("rests_on_by_foundation", rests_on.c.foundation)

for _table in (log, heads, tree, rests_on):
    append_only(_table)
