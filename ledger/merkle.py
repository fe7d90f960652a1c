"""The Merkle tree over the log's entries (RFC 6962, section 2.1), and proofs that need neither log nor trust.

A root commits to every entry, in order. An inclusion proof shows that one entry is in the tree; a consistency
proof shows that a newer tree only added to an older one. All functions are pure. Leaves are given as leaf
hashes; entry number `seq` of the log is leaf index `seq - 1`.
"""

import hashlib
from collections.abc import Iterable, Sequence

HASH_BYTES = 32
"""Length of every hash here (SHA-256)."""

EMPTY_ROOT = hashlib.sha256().digest()
"""The root of the tree without entries: MTH({}) = SHA-256()."""


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

    def append(self, leaf: bytes) -> None:
        """Add one entry by its leaf hash."""
        node, full = leaf, self.size
        # Each trailing 1 of the size is a finished subtree that the new one completes into a larger one.
        while full & 1:
            node = node_hash(self._roots.pop(), node)
            full >>= 1
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

    def extended(self, leaves: Iterable[bytes]) -> "Frontier":
        """A copy with more leaf hashes appended; this one stays as it is."""
        copy = Frontier(self.size, self._roots)
        for leaf in leaves:
            copy.append(leaf)
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


def inclusion_proof(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH(index, leaves): the sibling hashes from the leaf up to the root (section 2.1.1)."""
    if not 0 <= index < len(leaves):
        raise ValueError(f"There is no leaf {index} in a tree of {len(leaves)} entries.")
    if len(leaves) == 1:
        return []
    split = _split(len(leaves))
    if index < split:
        return [*inclusion_proof(index, leaves[:split]), root_of(leaves[split:])]
    return [*inclusion_proof(index - split, leaves[split:]), root_of(leaves[:split])]


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


def consistency_proof(old_size: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PROOF(old_size, leaves): what shows that the first `old_size` leaves are unchanged (section 2.1.2)."""
    if not 0 <= old_size <= len(leaves):
        raise ValueError(f"A tree of {len(leaves)} entries has no older state of {old_size} entries.")
    if old_size in (0, len(leaves)):
        return []
    return _subproof(old_size, leaves, whole=True)


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


def _subproof(old_size: int, leaves: Sequence[bytes], *, whole: bool) -> list[bytes]:
    if old_size == len(leaves):
        return [] if whole else [root_of(leaves)]
    split = _split(len(leaves))
    if old_size <= split:
        return [*_subproof(old_size, leaves[:split], whole=whole), root_of(leaves[split:])]
    return [*_subproof(old_size - split, leaves[split:], whole=False), root_of(leaves[:split])]


def _split(size: int) -> int:
    """The largest power of two that is smaller than `size`."""
    return 1 << (size - 1).bit_length() - 1
