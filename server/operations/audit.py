"""The log as operations: exporting it whole, its newest signed head, proofs. Verifying needs no operation:
anybody may.
"""

from __future__ import annotations

from functools import partial
from importlib.metadata import version

from pydantic import Field

from ledger.canonical import JsonObject, JsonValue
from ledger.clock import rfc3339
from ledger.export import export_log
from ledger.proofs import ConsistencyProof, InclusionProof, SentProof
from ledger.proving import NoProof, head_of_size, prove_consistency, prove_inclusion
from ledger.transaction import Reading
from policies.principals import Person
from server.errors import BadInput
from server.ocsf import ocsf_event
from server.operations.operation import Arguments, NoArguments, Operation, OperationDesk


class Export(Arguments):
    """`ocsf`: each entry as an event of that schema, too."""

    ocsf: bool = False


class ProveEntry(Arguments):
    """Which entry, and in the log of which size; the newest head if none is named."""

    seq: int = Field(ge=1)
    head: int | None = Field(default=None, ge=1)


class ProveExtension(Arguments):
    """Between which sizes."""

    old: int = Field(ge=1)
    head: int | None = Field(default=None, ge=1)


def _export(desk: OperationDesk, _person: Person, given: Export) -> JsonObject:
    keys, origin = desk.ring.public_keys("head"), desk.ledger.origin
    shape = partial(ocsf_event, origin=origin, product_version=version("bailiwick")) if given.ocsf else None
    lines = desk.ledger.read(lambda reading: list(export_log(reading, keys, origin=origin, shape=shape)))
    return {"lines": list[JsonValue](lines)}


def _head(desk: OperationDesk, _person: Person, _given: NoArguments) -> JsonObject:
    head = desk.ledger.head()
    if head is None:
        raise BadInput("The log is empty, so it has no head yet.")
    return {
        "origin": head.origin,
        "size": head.size,
        "root": head.root.hex(),
        "at": rfc3339(head.at_ms),
        "note": head.note,
    }


def _prove_entry(desk: OperationDesk, _person: Person, given: ProveEntry) -> JsonObject:
    def prove(reading: Reading) -> InclusionProof:
        return prove_inclusion(reading, given.seq, head_of_size(reading, given.head))

    try:
        return _sent(desk, desk.ledger.read(prove))
    except NoProof as error:
        raise BadInput(str(error)) from None


def _prove_extension(desk: OperationDesk, _person: Person, given: ProveExtension) -> JsonObject:
    def prove(reading: Reading) -> ConsistencyProof:
        old, new = head_of_size(reading, given.old), head_of_size(reading, given.head)
        return prove_consistency(reading, old, new)

    try:
        return _sent(desk, desk.ledger.read(prove))
    except NoProof as error:
        raise BadInput(str(error)) from None


def _sent(desk: OperationDesk, proof: InclusionProof | ConsistencyProof) -> JsonObject:
    keys = desk.ring.public_keys("head")
    sent = SentProof(desk.ledger.origin, keys, proof)
    proof.check(desk.ledger.origin, keys)  # what does not hold here is not sent
    return sent.as_json()


OPERATIONS = (
    Operation("audit.export", Export, "admin", _export),
    Operation("audit.head", NoArguments, "person", _head, logged=False),
    Operation("audit.prove_entry", ProveEntry, "admin", _prove_entry),
    Operation("audit.prove_extension", ProveExtension, "person", _prove_extension, logged=False),
)
