"""The Merkle tree over the log's entries (RFC 6962, section 2.1), and proofs that need neither log nor trust.

A root commits to every entry, in order. An inclusion proof shows that one entry is in the tree; a consistency
proof shows that a newer tree only added to an older one. All functions are pure. Leaves are given as leaf
hashes; entry number `seq` of the log is leaf index `seq - 1`. How proofs are made: `ledger/tree.py`.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

HASH_BYTES = 32
"""Length of every hash here (SHA-256)."""

EMPTY_ROOT = hashlib.sha256().digest()
"""The root of the tree without entries: MTH({}) = SHA-256()."""


STORED_LEVEL = 6
"""Perfect subtrees from this height on (64 leaves) are stored as they are finished; smaller ones are made
again from leaves, which is cheaper than storing them.
"""


class Node(NamedTuple):
    """A perfect subtree: `level` 0 is a leaf, and `number` k covers leaves from `k << level` on."""

    level: int
    number: int

    @property
    def position(self) -> int:
        """The node's place among all nodes from left to right: one number for both fields."""
        return (2 * self.number + 1 << self.level) - 1


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one entry: SHA-256(0x00 ‖ entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256(0x01 ‖ left ‖ right). The prefix tells it from every leaf."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """What is needed to append to a tree and know its root: the roots of its perfect subtrees, largest first.

    There is one subtree for each 1 in the binary form of `size`, so a million entries need at most 20 hashes.
    """

    __slots__ = ("_roots", "size")

    def __init__(self, size: int = 0, roots: Sequence[bytes] = ()) -> None:
        """The empty tree, or one whose perfect subtrees have these roots; `ValueError` if they cannot fit."""
        if len(roots) != size.bit_count() or any(len(root) != HASH_BYTES for root in roots):
            raise ValueError(
                f"A tree of {size} entries has {size.bit_count()} subtree roots of {HASH_BYTES} bytes."
            )
        self.size = size
        self._roots = list(roots)

    def append(self, leaf: bytes, finished: list[tuple[Node, bytes]] | None = None) -> None:
        """Add one entry by its leaf hash; put the subtrees that are worth storing into `finished`."""
        node, full = leaf, self.size
        level = 0
        # Each trailing 1 of the size is a finished subtree that the new one completes into a larger one.
        while full & 1:
            node = node_hash(self._roots.pop(), node)
            full >>= 1
            level += 1
            if finished is not None and level >= STORED_LEVEL:
                finished.append((Node(level, full), node))
        self._roots.append(node)
        self.size += 1

    def root(self) -> bytes:
        """The root hash of the whole tree, MTH."""
        if not self._roots:
            return EMPTY_ROOT
        node = self._roots[-1]
        for left in reversed(self._roots[:-1]):
            node = node_hash(left, node)
        return node

    def extended(
        self, leaves: Iterable[bytes], finished: list[tuple[Node, bytes]] | None = None
    ) -> "Frontier":
        """A copy with more leaf hashes appended, see `append`; this one stays as it is."""
        copy = Frontier(self.size, self._roots)
        for leaf in leaves:
            copy.append(leaf, finished)
        return copy

    def to_bytes(self) -> bytes:
        """The subtree roots, one after the other."""
        return b"".join(self._roots)

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> "Frontier":
        """The reverse of `to_bytes`; `ValueError` if the data cannot belong to a tree of that size."""
        return cls(size, [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)])


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root hash over these leaf hashes."""
    return Frontier().extended(leaves).root()


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows `leaf` at this index of the tree of this size and root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, last, result = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            result = node_hash(sibling, result)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and result == root


def verify_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether `proof` shows that the newer tree extends the older one (RFC 9162, 2.1.4.2)."""
    if not 0 <= old_size <= new_size:
        return False
    if old_size == 0:
        return old_root == EMPTY_ROOT and not proof
    if old_size == new_size:
        return old_root == new_root and not proof
    # A perfect older tree is a node of the newer one, and its root is then left out of the proof.
    path = [old_root, *proof] if old_size & old_size - 1 == 0 else list(proof)
    if not path:
        return False
    node, last = old_size - 1, new_size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old, new = path[0], path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and old == old_root and new == new_root
