"""Making proofs from the stored log: a few small reads, however long it is.

Every proof is checked before it is given away, so a damaged table can fail a proof and never forge one.
"""

from collections.abc import Iterable

from sqlalchemy import select

from ledger.errors import LedgerDamaged, LedgerError
from ledger.heads import SignedHead, parse_head
from ledger.merkle import STORED_LEVEL, Node, leaf_hash, verify_consistency, verify_inclusion
from ledger.proofs import ConsistencyProof, InclusionProof
from ledger.statements import fixed, param
from ledger.tables import heads, log, tree
from ledger.transaction import Reading
from ledger.tree import Range, consistency_plan, fold, inclusion_plan, nodes_of, subtree

_ENTRY = fixed(select(log.c.entry).where(log.c.seq == param("number")))
_LEAVES = fixed(
    select(log.c.leaf).where(log.c.seq.between(param("first"), param("last"))).order_by(log.c.seq)
)
_NODE = fixed(select(tree.c.hash).where(tree.c.position == param("place")))
_HEAD = fixed(select(heads.c.note).where(heads.c.size == param("entries")))
_NEWEST = fixed(select(heads.c.note).order_by(heads.c.size.desc()).limit(1))
_BLOCK = 1 << STORED_LEVEL


class NoProof(LedgerError):
    """There is nothing to prove: no such entry, or no head of that size."""


def head_of_size(reading: Reading, size: int | None) -> SignedHead:
    """The stored head of this size, or the newest, unverified; `NoProof` if there is none."""
    row = reading.one(_NEWEST) if size is None else reading.one(_HEAD, {"entries": size})
    if row is None:
        what = "The log is empty" if size is None else f"No group of entries ended with number {size}"
        raise NoProof(f"{what}, so there is no signed head to prove anything by.")
    return parse_head(row.note)


def prove_inclusion(reading: Reading, seq: int, head: SignedHead) -> InclusionProof:
    """That entry `seq` is in the log that `head` signs; `NoProof` if it is not that long."""
    if not 1 <= seq <= head.size:
        raise NoProof(f"The log of {head.size} entries has no entry {seq}.")
    row = reading.one(_ENTRY, {"number": seq})
    hashes = _folded(reading, inclusion_plan(seq - 1, head.size))
    raw = b"" if row is None else bytes(row.entry)
    if not verify_inclusion(seq - 1, head.size, leaf_hash(raw), hashes, head.root):
        raise _damaged()
    return InclusionProof(seq, raw, head.note, tuple(hashes))


def prove_consistency(reading: Reading, old: SignedHead, new: SignedHead) -> ConsistencyProof:
    """That the log only grew from `old` to `new`; `NoProof` if `old` is the larger one."""
    hashes = extension_hashes(reading, old.size, new)
    if not verify_consistency(old.size, old.root, new.size, new.root, hashes):
        raise _damaged()
    return ConsistencyProof(old.note, new.note, tuple(hashes))


def extension_hashes(reading: Reading, old_size: int, new: SignedHead) -> list[bytes]:
    """The hashes that show how the stored log of `new` extends its own state of `old_size` entries."""
    if old_size > new.size:
        raise NoProof(f"A log of {new.size} entries has no older state of {old_size} entries.")
    return _folded(reading, consistency_plan(old_size, new.size))


def _folded(reading: Reading, plan: list[Range]) -> list[bytes]:
    wanted = nodes_of(plan)
    hashes: dict[Node, bytes] = {}
    for node in wanted:
        if node.level >= STORED_LEVEL:
            row = reading.one(_NODE, {"place": node.position})
            if row is None:
                raise _damaged()
            hashes[node] = bytes(row.hash)
    small = [node for node in wanted if node.level < STORED_LEVEL]
    try:
        hashes |= _small(reading, small)
        return fold(plan, hashes)
    except (KeyError, ValueError) as error:
        raise _damaged() from error


def _small(reading: Reading, nodes: Iterable[Node]) -> dict[Node, bytes]:
    """Subtrees that are not stored, from their leaves; those of a proof lie in two runs of 64 at most."""
    blocks: dict[int, list[Node]] = {}
    for node in nodes:
        blocks.setdefault((node.number << node.level) // _BLOCK, []).append(node)
    found: dict[Node, bytes] = {}
    for inside in blocks.values():
        first = min(node.number << node.level for node in inside)
        last = max(node.number + 1 << node.level for node in inside)
        rows = reading.all(_LEAVES, {"first": first + 1, "last": last})
        leaves = [bytes(row.leaf) for row in rows]
        for node in inside:
            start = (node.number << node.level) - first
            found[node] = subtree(node, leaves[start : start + (1 << node.level)])
    return found


def _damaged() -> LedgerDamaged:
    return LedgerDamaged("The stored log does not prove what its head signs; run `bailiwick audit verify`.")
