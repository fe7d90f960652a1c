"""Making proofs from few hashes (RFC 6962, sections 2.1.1 and 2.1.2).

A proof is a list of hashes of ranges of leaves. Each range is made of perfect subtrees, whose hashes somebody
keeps; so a plan says which ones a proof needs, and the proof is then folded from them. Pure: where hashes
come from is the caller's affair.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from ledger.merkle import Node, node_hash

Range: TypeAlias = tuple[int, int]
"""Leaves from the first index up to, and without, the second."""


def inclusion_plan(index: int, size: int) -> list[Range]:
    """PATH(index, D[size]) as ranges, from the leaf up; `ValueError` if there is no such leaf."""
    if not 0 <= index < size:
        raise ValueError(f"There is no leaf {index} in a tree of {size} entries.")
    path: list[Range] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start = middle
    return path[::-1]


def consistency_plan(old_size: int, size: int) -> list[Range]:
    """PROOF(old_size, D[size]) as ranges; `ValueError` if the older tree is larger."""
    if not 0 <= old_size <= size:
        raise ValueError(f"A tree of {size} entries has no older state of {old_size} entries.")
    if old_size in (0, size):
        return []
    path: list[Range] = []
    start, end = 0, size
    while old_size != end:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start = middle
    # Whoever checks the proof knows the older root, so it is left out where it is a node of the newer tree.
    return [*([(start, end)] if start else []), *path[::-1]]


def nodes_of(ranges: Sequence[Range]) -> list[Node]:
    """Every perfect subtree that these ranges are made of."""
    return [node for one in ranges for node in _perfect(*one)]


def fold(ranges: Sequence[Range], hashes: Mapping[Node, bytes]) -> list[bytes]:
    """The hash of each range, from the hashes of its subtrees; `KeyError` where one is missing."""
    return [_fold_one([hashes[node] for node in _perfect(*one)]) for one in ranges]


def subtree(node: Node, leaves: Sequence[bytes]) -> bytes:
    """The hash of a perfect subtree from all of its leaf hashes; `ValueError` unless they are all there."""
    if len(leaves) != 1 << node.level:
        raise ValueError(f"A subtree of level {node.level} has {1 << node.level} leaves, not {len(leaves)}.")
    row = list(leaves)
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def _perfect(start: int, end: int) -> list[Node]:
    """The perfect subtrees of a range that begins where one of its own size may begin, largest first."""
    found: list[Node] = []
    while start < end:
        level = (end - start).bit_length() - 1
        found.append(Node(level, start >> level))
        start += 1 << level
    return found


def _fold_one(parts: list[bytes]) -> bytes:
    whole = parts[-1]
    for left in reversed(parts[:-1]):
        whole = node_hash(left, whole)
    return whole


def _split(size: int) -> int:
    """The largest power of two that is smaller than `size`."""
    return 1 << (size - 1).bit_length() - 1
