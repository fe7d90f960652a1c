"""Stopping everything, and letting it go on."""

from __future__ import annotations

from pydantic import Field

from ledger.canonical import JsonObject
from policies.gate_state import set_frozen
from policies.principals import Person
from server.operations.operation import Arguments, Operation, OperationDesk


class Freeze(Arguments):
    """Why; it is written down."""

    reason: str = Field(default="", max_length=2_000)


def _freeze(desk: OperationDesk, person: Person, given: Freeze) -> JsonObject:
    return _turned(desk, person, given, frozen=True)


def _unfreeze(desk: OperationDesk, person: Person, given: Freeze) -> JsonObject:
    return _turned(desk, person, given, frozen=False)


def _turned(desk: OperationDesk, person: Person, given: Freeze, *, frozen: bool) -> JsonObject:
    changed = desk.ledger.transact_now(
        lambda tx: set_frozen(tx, frozen=frozen, by=person.id, reason=given.reason)
    )
    return {"frozen": frozen, "changed": changed}


OPERATIONS = (
    Operation("freeze", Freeze, "admin", _freeze),
    Operation("unfreeze", Freeze, "admin", _unfreeze),
)
