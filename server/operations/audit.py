"""The log as operations: exporting it whole, and its newest signed head. Verifying needs no operation:
anybody may.
"""

from __future__ import annotations

from ledger.canonical import JsonObject, JsonValue
from ledger.clock import rfc3339
from ledger.export import export_log
from policies.principals import Person
from server.errors import BadInput
from server.operations.operation import NoArguments, Operation, OperationDesk


def _export(desk: OperationDesk, _person: Person, _given: NoArguments) -> JsonObject:
    keys = desk.ring.public_keys("head")
    lines = desk.ledger.read(lambda reading: list(export_log(reading, keys, origin=desk.ledger.origin)))
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


OPERATIONS = (
    Operation("audit.export", NoArguments, "admin", _export),
    Operation("audit.head", NoArguments, "person", _head, logged=False),
)
