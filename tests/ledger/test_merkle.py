"""The tree against the definitions of RFC 6962, written out naively."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.merkle import (
    EMPTY_ROOT,
    STORED_LEVEL,
    Frontier,
    Node,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from ledger.tree import consistency_plan, fold, inclusion_plan, nodes_of, subtree

_MOST = 70


def leaves(count: int) -> list[bytes]:
    return [leaf_hash(b"entry %d" % number) for number in range(count)]


def folded(plan: list[tuple[int, int]], every: list[bytes]) -> list[bytes]:
    """The hashes that a plan asks for, from all leaves."""
    return fold(plan, {node: naive_root(leaves_of(node, every)) for node in nodes_of(plan)})


def leaves_of(node: Node, every: list[bytes]) -> list[bytes]:
    return every[node.number << node.level : node.number + 1 << node.level]


def inclusion_proof(index: int, every: list[bytes]) -> list[bytes]:
    return folded(inclusion_plan(index, len(every)), every)


def consistency_proof(old: int, every: list[bytes]) -> list[bytes]:
    return folded(consistency_plan(old, len(every)), every)


def naive_root(nodes: list[bytes]) -> bytes:
    """MTH of section 2.1, literally."""
    if not nodes:
        return hashlib.sha256(b"").digest()
    if len(nodes) == 1:
        return nodes[0]
    split = 1
    while split * 2 < len(nodes):
        split *= 2
    return hashlib.sha256(b"\x01" + naive_root(nodes[:split]) + naive_root(nodes[split:])).digest()


def test_the_tree_gives_the_known_answers_of_certificate_transparency() -> None:
    # The test vectors of the reference implementation of RFC 6962.
    inputs = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ]
    hashes = [leaf_hash(bytes.fromhex(text)) for text in inputs]
    assert root_of(hashes[:1]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert root_of(hashes[:2]).hex() == "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
    assert root_of(hashes).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@pytest.mark.parametrize("size", range(_MOST))
def test_a_frontier_has_the_root_of_the_definition(size: int) -> None:
    frontier = Frontier().extended(leaves(size))
    assert frontier.size == size
    assert frontier.root() == naive_root(leaves(size))


@given(st.integers(0, _MOST), st.integers(0, _MOST))
def test_a_stored_frontier_goes_on_where_it_stopped(first: int, more: int) -> None:
    every = leaves(first + more)
    frontier = Frontier().extended(every[:first])
    reloaded = Frontier.from_bytes(first, frontier.to_bytes())
    assert reloaded.extended(every[first:]).root() == root_of(every)
    assert reloaded.root() == frontier.root()


@pytest.mark.parametrize(("size", "data"), [(0, b"x" * 32), (1, b""), (3, b"x" * 32), (1, b"x" * 31)])
def test_a_frontier_that_cannot_belong_to_its_size_is_refused(size: int, data: bytes) -> None:
    with pytest.raises(ValueError, match="subtree roots"):
        Frontier.from_bytes(size, data)


@pytest.mark.parametrize("size", range(1, 34))
def test_every_leaf_has_a_proof_and_no_other_place_or_leaf_fits_it(size: int) -> None:
    every = leaves(size)
    root = root_of(every)
    for index in range(size):
        proof = inclusion_proof(index, every)
        assert verify_inclusion(index, size, every[index], proof, root)
        assert not verify_inclusion(index, size, leaf_hash(b"other"), proof, root)
        assert not verify_inclusion(index, size, every[index], [*proof, root], root)
        assert not verify_inclusion(index, size, every[index], proof, EMPTY_ROOT)
        for other in set(range(-1, size + 1)) - {index}:
            assert not verify_inclusion(other, size, every[index], proof, root)


@pytest.mark.parametrize("new", range(34))
def test_every_older_state_is_consistent_and_no_other_is(new: int) -> None:
    every = leaves(new)
    root = root_of(every)
    for old in range(new + 1):
        proof = consistency_proof(old, every)
        old_root = root_of(every[:old])
        assert verify_consistency(old, old_root, new, root, proof)
        assert not verify_consistency(old, leaf_hash(b"other"), new, root, proof)
        assert not verify_consistency(old, old_root, new, root, [*proof, root])
        if old:
            assert not verify_consistency(old, old_root, new, leaf_hash(b"other"), proof)
        if proof:
            assert not verify_consistency(old, old_root, new, root, proof[:-1])


@given(st.data())
def test_a_rewritten_past_has_no_consistency_proof(data: st.DataObject) -> None:
    new = data.draw(st.integers(1, _MOST))
    old = data.draw(st.integers(1, new))
    changed = data.draw(st.integers(0, old - 1))
    honest = leaves(new)
    forged = [*honest[:changed], leaf_hash(b"forged"), *honest[changed + 1 :]]
    proof = consistency_proof(old, forged)
    assert not verify_consistency(old, root_of(honest[:old]), new, root_of(forged), proof)


def test_a_proof_longer_than_the_tree_is_refused() -> None:
    one = leaves(1)
    assert not verify_inclusion(0, 1, one[0], [one[0]], node_hash(one[0], one[0]))
    assert not verify_consistency(3, root_of(leaves(3)), 5, root_of(leaves(5)), [])
    assert not verify_consistency(5, root_of(leaves(5)), 3, root_of(leaves(3)), [])


@pytest.mark.parametrize("index", [-1, 3])
def test_there_is_no_proof_for_what_is_not_there(index: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        inclusion_proof(index, leaves(3))
    with pytest.raises(ValueError, match="no older state"):
        consistency_proof(index + 1 if index > 0 else -1, leaves(3))


def test_each_larger_subtree_is_finished_once_with_its_hash_and_a_position_of_its_own() -> None:
    every = leaves(300)
    finished: list[tuple[Node, bytes]] = []
    at_once = Frontier().extended(every, finished)
    assert at_once.root() == root_of(every)
    wanted = {Node(level, index) for level in range(STORED_LEVEL, 9) for index in range(300 >> level)}
    assert {node for node, _ in finished} == wanted
    assert len({node.position for node, _ in finished}) == len(finished) == len(wanted)
    for node, node_hash_ in finished:
        assert node_hash_ == naive_root(leaves_of(node, every)) == subtree(node, leaves_of(node, every))


def test_positions_are_the_order_of_nodes_from_left_to_right() -> None:
    assert [Node(0, 0).position, Node(1, 0).position, Node(0, 1).position, Node(2, 0).position] == [
        0,
        1,
        2,
        3,
    ]


def test_a_subtree_is_made_of_all_of_its_leaves_or_not_at_all() -> None:
    with pytest.raises(ValueError, match="has 4 leaves, not 3"):
        subtree(Node(2, 0), leaves(3))
