"""Acts of two people as operations: what waits for a second admin, and being that second one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from difflib import unified_diff
from typing import Any, cast

from pydantic import Field

from ledger.canonical import JsonObject, JsonValue
from ledger.transaction import Reading, Transaction
from policies.acts import (
    Act,
    ActRefused,
    act_as_json,
    find_act,
    finish_act,
    list_acts,
    note_alone,
    propose_act,
    sign_act,
    withdraw_act,
)
from policies.agreements import Agreement
from policies.cedar import PolicySet
from policies.matrix import as_lines, matrix
from policies.people import KeyHolder, is_single_handed, root_kid
from policies.principals import Person
from server.errors import failure_of
from server.operations.admission import parse_arguments
from server.operations.operation import Arguments, NoArguments, Operation, OperationDesk


class OneAct(Arguments):
    """An act by its id."""

    act: str = Field(max_length=64)


class SignAct(OneAct):
    """An act, and the digest of what was seen of it."""

    digest: str = Field(max_length=128)


def proposed_instead(
    desk: OperationDesk, name: str, args: JsonObject, lowers: tuple[str, ...], person: Person
) -> JsonObject | None:
    """Put an operation that lowers the gate before the other admins; None where there never was another one,
    and then it is written down that one admin acts alone.
    """

    def propose(tx: Transaction) -> JsonObject | None:
        if is_single_handed(tx):
            note_alone(tx, name, lowers, tenant=person.tenant, by=person.id)
            return None
        return act_as_json(propose_act(tx, name, args, lowers, asked=desk.signed), tx.now_ms)

    act = desk.ledger.transact_now(propose)
    return None if act is None else {"proposed": act}


def _list(desk: OperationDesk, asking: Person, _given: NoArguments) -> JsonObject:
    acts = desk.ledger.read(
        lambda reading: [act for act in list_acts(reading) if _for(desk, reading, asking, act)]
    )
    now_ms = desk.now_ms()
    return {"acts": [act_as_json(act, now_ms) for act in acts]}


def _show(desk: OperationDesk, asking: Person, given: OneAct) -> JsonObject:
    act = desk.ledger.read(lambda reading: _act(desk, reading, asking, given.act))
    return {**act_as_json(act, desk.now_ms()), "what": list[JsonValue](list(_in_full(desk, act)))}


def _sign(desk: OperationDesk, second: Person, given: SignAct) -> JsonObject:
    from server.operations.registry import OPERATIONS  # it holds these operations, too

    def sign(tx: Transaction) -> tuple[Agreement, KeyHolder]:
        _act(desk, tx, second, given.act)
        return sign_act(tx, given.act, given.digest, agreed=desk.signed)

    agreement, first = desk.ledger.transact_now(sign)
    act, operation = agreement.act, OPERATIONS[agreement.op]
    try:
        # As the one who proposed it: the enrolment that they signed is good under their name.
        proposed = replace(desk, asked=agreement.asked, agreement=agreement)
        result = operation.run(proposed, first.person, parse_arguments(operation, agreement.args))
    except Exception as error:
        why = failure_of(error).sentence
        desk.ledger.transact_now(lambda tx: finish_act(tx, act, by=second.id, why_not=why))
        raise
    desk.ledger.transact_now(lambda tx: finish_act(tx, act, by=second.id, why_not=None))
    return {"act": act, "operation": agreement.op, "result": result}


def _withdraw(desk: OperationDesk, admin: Person, given: OneAct) -> JsonObject:
    def withdraw(tx: Transaction) -> Act:
        _act(desk, tx, admin, given.act)
        return withdraw_act(tx, given.act, by=admin.id)

    return {"act": desk.ledger.transact_now(withdraw).id}


def _act(desk: OperationDesk, reading: Reading, asking: Person, name: str) -> Act:
    """The act, if it is one of this person's tenant, or they hold the root key; else as if absent."""
    act = find_act(reading, name)
    if not _for(desk, reading, asking, act):
        raise ActRefused(f"There is no act {name[:64]}; `bailiwick act list` shows those there are.")
    return act


def _for(desk: OperationDesk, reading: Reading, asking: Person, act: Act) -> bool:
    return act.tenant == asking.tenant or desk.signed.kid == root_kid(reading)


def _in_full(desk: OperationDesk, act: Act) -> Iterator[str]:
    """Everything that a second admin has to see, as lines."""
    if act.op != "policy.load":
        yield from json.dumps(act.args, indent=2, ensure_ascii=False).splitlines()
        return
    now = desk.policies.now
    files = cast("dict[str, str]", cast("dict[str, Any]", act.args)["files"])
    for name in sorted({*now.files, *files}):
        before, after = now.files.get(name, ""), files.get(name, "")
        yield from unified_diff(
            before.splitlines(), after.splitlines(), f"{name} (in force)", f"{name} (proposed)", lineterm=""
        )
    proposed = PolicySet.from_files(files, place="the act")
    before_lines, after_lines = (list(as_lines(matrix(one))) for one in (now, proposed))
    yield from unified_diff(before_lines, after_lines, "matrix (in force)", "matrix (proposed)", lineterm="")


OPERATIONS = (
    Operation("act.list", NoArguments, "person", _list, logged=False),
    Operation("act.show", OneAct, "admin", _show, logged=False),
    Operation("act.sign", SignAct, "admin", _sign),
    Operation("act.withdraw", OneAct, "admin", _withdraw),
)
