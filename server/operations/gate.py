"""Stopping everything, one agent or one tool, and letting it go on; and what is in force."""

from __future__ import annotations

from pydantic import Field, model_validator

from ledger.canonical import JsonObject
from policies.agents import list_agents
from policies.gate_state import frozen_by, read_gate, set_frozen
from policies.people import is_single_handed
from policies.principals import Person
from server.errors import BadInput
from server.operations.operation import Arguments, NoArguments, Operation, OperationDesk
from tool_scopes.catalogue_files import load_catalogue


class Freeze(Arguments):
    """What, unless it is everything, and why; it is written down."""

    reason: str = Field(default="", max_length=2_000)
    agent: str | None = Field(default=None, max_length=64)
    tool: str | None = Field(default=None, max_length=128)

    @model_validator(mode="after")
    def _one_thing(self) -> Freeze:
        if self.agent is not None and self.tool is not None:
            raise ValueError("name an agent or a tool, one at a time")
        return self

    @property
    def what(self) -> str:
        """What the gate's state calls it."""
        return frozen_by(self.model_dump())


def _freeze(desk: OperationDesk, person: Person, given: Freeze) -> JsonObject:
    # A name that is nobody's would stop nothing, and whoever freezes is in a hurry.
    if given.agent is not None:
        known = desk.ledger.read(lambda reading: list_agents(reading, person.tenant))
        if given.agent not in {one.agent.id for one in known}:
            raise BadInput(f"There is no agent {given.agent}; `bailiwick agent list` shows them.")
    if given.tool is not None:
        house = desk.open_house
        catalogue = load_catalogue(desk.folder.catalogue_dir) if house is None else house.catalogue
        if given.tool not in catalogue.views:
            raise BadInput(f"There is no tool {given.tool}; `bailiwick upstream list` shows them.")
    return _turned(desk, person, given, frozen=True)


def _unfreeze(desk: OperationDesk, person: Person, given: Freeze) -> JsonObject:
    return _turned(desk, person, given, frozen=False)


def _goes_on(desk: OperationDesk, _person: Person, given: Freeze) -> tuple[str, ...]:
    frozen = desk.ledger.read(read_gate).frozen
    return (f"{given.what} goes on after a freeze",) if given.what in frozen else ()


def _turned(desk: OperationDesk, person: Person, given: Freeze, *, frozen: bool) -> JsonObject:
    changed = desk.ledger.transact_now(
        lambda tx: set_frozen(
            tx, frozen=frozen, by=person.id, reason=given.reason, what=given.what, act=desk.act
        )
    )
    return {"frozen": frozen, "what": given.what, "changed": changed}


def _show(desk: OperationDesk, _person: Person, _given: NoArguments) -> JsonObject:
    gate, alone = desk.ledger.read(lambda reading: (read_gate(reading), is_single_handed(reading)))
    return {**gate.as_json(), "single_handed": alone}


OPERATIONS = (
    Operation("freeze", Freeze, "admin", _freeze),
    Operation("unfreeze", Freeze, "admin", _unfreeze, lowers=_goes_on),
    Operation("gate.show", NoArguments, "person", _show, logged=False),
)
