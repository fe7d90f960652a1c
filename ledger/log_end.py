"""Where the log ends: the newest signed head, and the frontier from which the tree grows.

A writer keeps this between transactions, and reads it again only when another process has appended since.
What is read is believed only as far as the head's signature goes.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from ledger.engine import Database
from ledger.errors import LedgerDamaged
from ledger.heads import HeadError, SignedHead, make_head, verify_head
from ledger.keyring import KeyRing
from ledger.merkle import Frontier, Node
from ledger.statements import fixed
from ledger.tables import heads, tree

_NEWEST = fixed(heads.select().order_by(heads.c.size.desc()).limit(1))
_INSERT = fixed(heads.insert())
_INSERT_NODES = fixed(tree.insert())


@dataclass(frozen=True, slots=True)
class Seal:
    """Whose log this is: its origin, and the keys that sign its heads."""

    origin: str
    keys: KeyRing


@dataclass(frozen=True, slots=True)
class LogEnd:
    """The newest head (None while the log is empty) and the frontier of its tree; replaced, never changed."""

    head: SignedHead | None
    frontier: Frontier

    @property
    def at_ms(self) -> int:
        """The time of the newest head, or 0."""
        return self.head.at_ms if self.head else 0

    @property
    def root(self) -> bytes | None:
        """The root that the newest head signs, which stands for the whole log so far."""
        return self.head.root if self.head else None


EMPTY = LogEnd(None, Frontier())
"""The end of a log without entries."""


def present_state(database: Database) -> str:
    """SQL of one row: the clock in ms, the last entry's number, and the newest head's root (or NULL)."""
    last_entry = "SELECT coalesce(max(seq), 0) FROM log"
    newest_root = "SELECT root FROM heads ORDER BY size DESC LIMIT 1"
    return f"SELECT {database.now_ms}, ({last_entry}), ({newest_root})"


def read_end(connection: Connection, seal: Seal) -> LogEnd:
    """Read the log's end and hold it to its signature; `LedgerDamaged` if they disagree."""
    rows = _NEWEST.rows(connection, {})
    if not rows:
        return EMPTY
    (row,) = rows
    try:
        keys = seal.keys
        head = verify_head(row.note, seal.origin, keys.public_keys("head"), keys.retired("head"))
        frontier = Frontier.from_bytes(row.size, row.frontier)
    except (HeadError, ValueError) as error:
        raise LedgerDamaged(
            f"The newest head of the log cannot be trusted: {error} Run `audit verify`."
        ) from error
    if (head.size, head.at_ms, head.root, head.root) != (row.size, row.at_ms, row.root, frontier.root()):
        raise LedgerDamaged(
            f"The head of size {row.size} is not the one that was signed; run `audit verify`."
        )
    return LogEnd(head, frontier)


def refuse_other_history(connection: Connection, known: LogEnd) -> None:
    """Raise `LedgerDamaged` unless the stored log still has a head that this process saw committed before."""
    if known.head is not None:
        stored = connection.scalar(select(heads.c.root).where(heads.c.size == known.head.size))
        if stored != known.head.root:
            raise LedgerDamaged(
                f"The log no longer holds its signed state of {known.head.size} entries: an older or another "
                "copy was put in its place. Restore the newest one."
            )


def refuse_unsigned(last_entry: int, end: LogEnd) -> None:
    """Raise `LedgerDamaged` if the last entry is not the one that the newest head ends with."""
    size = end.frontier.size
    if last_entry != size:
        raise LedgerDamaged(
            f"The log ends at entry {last_entry}, but its newest head at {size}; run `audit verify`."
        )


def seal_leaves(connection: Connection, end: LogEnd, leaves: list[bytes], now_ms: int, seal: Seal) -> LogEnd:
    """Sign and store the head over these new leaves; the new end, valid once the transaction is committed."""
    finished: list[tuple[Node, bytes]] = []
    frontier = end.frontier.extended(leaves, finished)
    head = make_head(seal.keys, seal.origin, frontier.size, frontier.root(), now_ms)
    row = {"size": head.size, "at_ms": head.at_ms, "root": head.root, "note": head.note}
    _INSERT.run(connection, {**row, "frontier": frontier.to_bytes()})
    if finished:
        nodes = [{"position": node.position, "hash": node_hash} for node, node_hash in finished]
        _INSERT_NODES.run_many(connection, nodes)
    return LogEnd(head, frontier)
