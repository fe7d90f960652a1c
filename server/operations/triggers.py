"""Triggers as operations: signed webhooks that open runs. Making one gives its secret, once."""

from __future__ import annotations

from pydantic import Field

from ledger.canonical import JsonObject, JsonValue
from ledger.clock import rfc3339
from ledger.transaction import Reading, Transaction
from policies.agents import agent_by_id
from policies.principals import Person, require_id
from server.errors import BadInput
from server.operations.operation import Arguments, NoArguments, Operation, OperationDesk
from server.operations.workflows import workflow_named
from tool_scopes.triggers import (
    Trigger,
    add_trigger,
    find_trigger,
    list_triggers,
    remove_trigger,
    rotate_secret,
    secrets_of,
)
from tool_scopes.webhooks import key_of, new_secret


class AddTrigger(Arguments):
    """A trigger: which workflow it opens for which agent, with what of the payload, on which event."""

    trigger: str = Field(max_length=64)
    workflow: str = Field(max_length=64)
    agent: str = Field(max_length=64)
    event: str | None = Field(default=None, min_length=1, max_length=200)
    takes: dict[str, str] = Field(default_factory=dict[str, str], max_length=64)
    secret: str | None = Field(default=None, max_length=200)


class RotateTrigger(Arguments):
    """A trigger, and how long its older secrets stay good beside the new one."""

    trigger: str = Field(max_length=64)
    overlap_hours: int = Field(default=24, ge=0, le=2_160)
    secret: str | None = Field(default=None, max_length=200)


class OneTrigger(Arguments):
    """A trigger by its name."""

    trigger: str = Field(max_length=64)


def _add(desk: OperationDesk, admin: Person, given: AddTrigger) -> JsonObject:
    require_id(given.trigger, "a trigger")
    workflow = workflow_named(desk, given.workflow)
    for key, pointer in given.takes.items():
        if not pointer.startswith("/"):
            raise BadInput(f"{key} is taken from a JSON Pointer such as /data/{key}, not {pointer[:64]!r}.")
        properties = workflow.input.get("properties")
        if isinstance(properties, dict) and key not in properties:
            known = ", ".join(properties) or "nothing"
            raise BadInput(f"The input of {workflow.name} knows no {key[:64]}; it knows {known}.")
    secret, told = _secret(given.secret)

    def add(tx: Transaction) -> Trigger:
        agent = agent_by_id(tx, given.agent)
        if agent is None or agent.tenant != admin.tenant:
            raise BadInput(
                f"There is no agent {given.agent}; `bailiwick agent list` shows those that there are."
            )
        return add_trigger(
            tx,
            desk.ring,
            name=given.trigger,
            tenant=admin.tenant,
            workflow=workflow.name,
            agent=agent.id,
            event=given.event,
            takes=given.takes,
            key=secret,
            by=admin.id,
        )

    made = desk.ledger.transact_now(add)
    return {"trigger": made.name, "path": f"/hooks/{made.name}", "secret": told}


def _rotate(desk: OperationDesk, admin: Person, given: RotateTrigger) -> JsonObject:
    key, told = _secret(given.secret)
    overlap_ms = given.overlap_hours * 3_600_000

    def rotate(tx: Transaction) -> int:
        trigger = _of_tenant(tx, admin, given.trigger)
        return rotate_secret(tx, desk.ring, trigger, key, overlap_ms=overlap_ms, by=admin.id)

    until_ms = desk.ledger.transact_now(rotate)
    return {"trigger": given.trigger, "secret": told, "older_until": rfc3339(until_ms)}


def _list(desk: OperationDesk, person: Person, _given: NoArguments) -> JsonObject:
    def look(reading: Reading) -> list[JsonValue]:
        return [_shown(desk, reading, one) for one in list_triggers(reading, person.tenant)]

    return {"triggers": desk.ledger.read(look)}


def _remove(desk: OperationDesk, admin: Person, given: OneTrigger) -> JsonObject:
    def remove(tx: Transaction) -> None:
        remove_trigger(tx, _of_tenant(tx, admin, given.trigger), by=admin.id)

    desk.ledger.transact_now(remove)
    return {"trigger": given.trigger}


def _secret(given: str | None) -> tuple[bytes, str | None]:
    """The key, and the secret as it is told once: nothing is told of one that was brought along."""
    if given is None:
        made = new_secret()
        return key_of(made), made
    try:
        return key_of(given), None
    except ValueError as error:
        raise BadInput(f"The secret cannot be used: {error}.") from None


def _of_tenant(reading: Reading, person: Person, name: str) -> Trigger:
    trigger = find_trigger(reading, name)
    if trigger is None or trigger.tenant != person.tenant:
        raise BadInput(f"There is no trigger {name}; `bailiwick trigger list` shows those that there are.")
    return trigger


def _shown(desk: OperationDesk, reading: Reading, trigger: Trigger) -> JsonObject:
    good = secrets_of(reading, trigger, desk.now_ms())
    return {
        "trigger": trigger.name,
        "path": f"/hooks/{trigger.name}",
        "workflow": trigger.workflow,
        "agent": trigger.agent,
        "event": trigger.event,
        "takes": dict(trigger.takes),
        "made": rfc3339(trigger.made_ms),
        "secrets": [
            {"secret": name, "until": None if until is None else rfc3339(until)} for name, until in good
        ],
    }


OPERATIONS = (
    Operation("trigger.add", AddTrigger, "admin", _add),
    Operation("trigger.list", NoArguments, "person", _list, logged=False),
    Operation("trigger.rotate", RotateTrigger, "admin", _rotate),
    Operation("trigger.remove", OneTrigger, "admin", _remove),
)
