"""Agreeing to files for the next start: what of the catalogue, or of the workflows, lowers the gate takes two
admins, who sign for exactly these files in the place of those that are in force.
"""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field

from ledger.canonical import JsonObject, JsonValue
from ledger.transaction import Reading
from policies.gate_contents import agree
from policies.gate_state import GateState, read_gate
from policies.principals import Person
from policies.taking import Part
from server.data_folder import DataFolder
from server.errors import RuleRefused
from server.operations.operation import AnyOperation, Arguments, NoArguments, Operation, OperationDesk


class Load(Arguments):
    """The digest of what may come into force, and of what it replaces."""

    digest: str = Field(max_length=128)
    base: str = Field(max_length=128)


def agreeing(noun: str, part_of: Callable[[DataFolder], Part]) -> tuple[AnyOperation, ...]:
    """The operations `NOUN.changes` and `NOUN.load` over one part of a folder's files."""

    def changes(desk: OperationDesk, _person: Person, _given: NoArguments) -> JsonObject:
        part = part_of(desk.folder)
        base, before = desk.ledger.read(lambda reading: _in_force(reading, part))
        # Before the first start nothing is in force, so nothing can be lowered.
        lowers = part.lowerings(before, part.text) if base not in ("", part.digest) else ()
        return {"base": base, "digest": part.digest, "lowers": list[JsonValue](lowers)}

    def lowers(desk: OperationDesk, _person: Person, given: Load) -> tuple[str, ...]:
        part, before = as_looked_at(desk, given)
        return part.lowerings(before, part.text) if given.base not in ("", part.digest) else ()

    def load(desk: OperationDesk, _person: Person, given: Load) -> JsonObject:
        part, _ = as_looked_at(desk, given)
        if (act := desk.act) is not None:
            desk.ledger.transact_now(lambda tx: agree(tx, part.name, given.base, given.digest, act))
        return {"digest": given.digest, "served": desk.served}

    def as_looked_at(desk: OperationDesk, given: Load) -> tuple[Part, str | None]:
        part = part_of(desk.folder)
        base, before = desk.ledger.read(lambda reading: _in_force(reading, part))
        if (part.digest, base) != (given.digest, given.base):
            raise RuleRefused(
                f"The files changed since they were looked at; run `bailiwick {noun} load` again."
            )
        return part, before

    return (
        Operation(f"{noun}.changes", NoArguments, "person", changes, logged=False),
        Operation(f"{noun}.load", Load, "admin", load, lowers=lowers),
    )


def _in_force(reading: Reading, part: Part) -> tuple[str, str | None]:
    """The digest of the part that the gate goes by, and the part itself."""
    gate: GateState = read_gate(reading)
    base = gate.tools if part.name == "tools" else gate.workflows
    return base, part.in_force(reading, base)
