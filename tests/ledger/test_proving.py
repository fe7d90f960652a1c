"""Proofs from the stored log, on every engine: any entry, any older head, and nothing that is not so."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import func, select, text

from ledger.entries import Entry
from ledger.errors import LedgerDamaged
from ledger.heads import SignedHead
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from ledger.proofs import ConsistencyProof, InclusionProof, ProofError, SentProof, read_proof
from ledger.proving import NoProof, head_of_size, prove_consistency, prove_inclusion
from ledger.tables import heads, tree
from ledger.transaction import Reading

ORIGIN = "bailiwick.test/ledger"

# Groups of many sizes, so that heads end within, at and behind finished subtrees.
GROUPS = (1, 1, 62, 1, 63, 100, 28, 7, 200, 2)


@pytest.fixture
def ledger(url: str, keys: KeyRing) -> Iterator[Ledger]:
    with Ledger.open(url, keys, origin=ORIGIN) as opened:
        number = 0
        for group in GROUPS:
            opened.append_now(*(Entry("call.answered", "acme", {"n": number + k}) for k in range(group)))
            number += group
        yield opened


def every_head(reading: Reading) -> list[SignedHead]:
    return [head_of_size(reading, row.size) for row in reading.all(heads.select().order_by(heads.c.size))]


def test_every_entry_is_proven_against_every_head_that_covers_it(ledger: Ledger, keys: KeyRing) -> None:
    def look(reading: Reading) -> int:
        checked = 0
        for head in every_head(reading):
            for seq in {*range(1, head.size + 1, 17), 1, 64, 65, head.size} - set(range(head.size + 1, 99)):
                _, entry = prove_inclusion(reading, seq, head).check(ORIGIN, keys.public_keys("head"))
                assert entry.body == {"n": seq - 1}
                checked += 1
        return checked

    assert ledger.read(look) > 100


def test_every_older_head_is_proven_consistent_with_every_newer_one(ledger: Ledger, keys: KeyRing) -> None:
    def look(reading: Reading) -> None:
        known = every_head(reading)
        for at, old in enumerate(known):
            for new in known[at:]:
                proof = prove_consistency(reading, old, new)
                assert proof.check(ORIGIN, keys.public_keys("head")) == (old, new)

    ledger.read(look)


def test_only_finished_subtrees_of_64_leaves_and_more_are_stored(ledger: Ledger) -> None:
    rows = ledger.read(lambda reading: reading.execute(select(func.count()).select_from(tree)).scalar_one())
    size = sum(GROUPS)
    assert rows == sum(size >> level for level in range(6, 10))


def test_a_proof_is_sent_as_json_and_checked_without_the_ledger(ledger: Ledger, keys: KeyRing) -> None:
    public = keys.public_keys("head")
    newest = ledger.read(lambda reading: head_of_size(reading, None))
    older = ledger.read(lambda reading: head_of_size(reading, 64))
    inclusion = ledger.read(lambda reading: prove_inclusion(reading, 100, newest))
    consistency = ledger.read(lambda reading: prove_consistency(reading, older, newest))
    for proof in (inclusion, consistency):
        sent = json.dumps(SentProof(ORIGIN, public, proof).as_json(), indent=1)
        read = read_proof(sent)
        assert read == SentProof(ORIGIN, public, proof)
        read.proof.check(read.origin, public)


def test_a_proof_of_something_else_does_not_hold(ledger: Ledger, keys: KeyRing) -> None:
    public = keys.public_keys("head")
    newest = ledger.read(lambda reading: head_of_size(reading, None))
    older = ledger.read(lambda reading: head_of_size(reading, 64))
    inclusion = ledger.read(lambda reading: prove_inclusion(reading, 100, newest))
    consistency = ledger.read(lambda reading: prove_consistency(reading, older, newest))
    wrong: list[InclusionProof | ConsistencyProof] = [
        replace(inclusion, seq=101),
        replace(inclusion, entry=inclusion.entry.replace(b'"n":99', b'"n":98')),
        replace(inclusion, hashes=inclusion.hashes[:-1]),
        replace(inclusion, head=older.note),
        replace(inclusion, head=newest.note.replace("at 20", "at 21")),
        replace(consistency, old=newest.note, new=older.note),
        replace(consistency, hashes=(b"x" * 32, *consistency.hashes[1:])),
    ]
    for proof in wrong:
        with pytest.raises(ProofError):
            proof.check(ORIGIN, public)
    with pytest.raises(ProofError, match="not of"):
        inclusion.check("other.test", public)


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "[]",
        '{"format":"bailiwick-proof-2","origin":"x","head_keys":{}}',
        '{"format":"bailiwick-proof-1","origin":"x","head_keys":{}}',
        '{"format":"bailiwick-proof-1","origin":"x","head_keys":{"k":1},"kind":"consistency"}',
        '{"format":"bailiwick-proof-1","origin":"x","head_keys":{},"kind":"consistency","old":"","new":"",'
        '"hashes":["00"]}',
        json.dumps(
            {
                "format": "bailiwick-proof-1",
                "origin": "x",
                "head_keys": {},
                "kind": "consistency",
                "old": "",
                "new": "",
                "hashes": ["00" * 32] * 64,
            }
        ),
    ],
)
def test_what_is_no_proof_is_refused(sent: str) -> None:
    with pytest.raises(ProofError, match="no proof"):
        read_proof(sent)


def test_there_is_no_proof_of_what_is_not_there(ledger: Ledger, url: str) -> None:
    newest = ledger.read(lambda reading: head_of_size(reading, None))
    for seq in (0, newest.size + 1):
        with pytest.raises(NoProof, match="has no entry"):
            ledger.read(lambda reading, seq=seq: prove_inclusion(reading, seq, newest))
    with pytest.raises(NoProof, match="No group of entries ended with number 3"):
        ledger.read(lambda reading: head_of_size(reading, 3))
    older = ledger.read(lambda reading: head_of_size(reading, 64))
    with pytest.raises(NoProof, match="no older state"):
        ledger.read(lambda reading: prove_consistency(reading, newest, older))


@pytest.mark.parametrize(
    "damage", ["DELETE FROM tree WHERE position = 127", "UPDATE log SET leaf = entry WHERE seq = 129"]
)
def test_a_damaged_table_fails_a_proof_and_never_forges_one(ledger: Ledger, url: str, damage: str) -> None:
    guards = {
        "sqlite": ["DROP TRIGGER tree_refuses_delete", "DROP TRIGGER log_refuses_update"],
        "postgresql": ["DROP TRIGGER tree_refuses ON tree", "DROP TRIGGER log_refuses ON log"],
    }
    if "leaf" in damage:
        damage = damage.replace("leaf = entry", "leaf = (SELECT leaf FROM log AS other WHERE other.seq = 1)")
    for guard in guards[url.partition("+")[0].partition(":")[0]]:
        ledger.transact_now(lambda tx, guard=guard: tx.execute(text(guard)))
    ledger.transact_now(lambda tx: tx.execute(text(damage)))
    newest = ledger.read(lambda reading: head_of_size(reading, None))
    with pytest.raises(LedgerDamaged, match="audit verify"):
        ledger.read(lambda reading: prove_inclusion(reading, 130, newest))
