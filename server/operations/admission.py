"""Letting an operation in: who signed it, whether it is new, and whether the gate allows it.

Nothing of an operation runs before its admission is in the ledger. Refusals of people that are known are
written down too.
"""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

from ledger.canonical import JsonObject
from ledger.entries import Entry
from ledger.transaction import Reading, Transaction
from policies.decisions import Decision, administer, curate, propose_source
from policies.operations import CLOCK_TOLERANCE_MS, SignedOperation, verify_operation
from policies.people import holder_of_key
from policies.principals import Person
from server.errors import BadInput, RuleRefused
from server.operations.operation import AnyOperation, Arguments, OperationDesk
from server.tables import operation_nonces

_REMEMBERED_MS: Final = 2 * CLOCK_TOLERANCE_MS + 60_000
"""How long a nonce is remembered: longer than its signature could still be good."""


def admit(
    desk: OperationDesk, operation: AnyOperation, args: JsonObject, signed: SignedOperation
) -> tuple[Person, Arguments]:
    """The person who asks, and the operation's arguments. `RuleRefused` or `BadInput` otherwise."""
    desk.ledger.read(lambda reading: _signer(reading, operation.name, args, signed, desk.now_ms()))
    given = parse_arguments(operation, args)
    outcome = desk.ledger.transact_now(lambda tx: _admitted(desk, tx, operation, args, given, signed))
    if isinstance(outcome, RuleRefused):
        raise outcome
    return outcome, given


def parse_arguments(operation: AnyOperation, args: JsonObject) -> Arguments:
    """The arguments as the operation declares them; `BadInput` names the first that does not fit."""
    try:
        return operation.arguments.model_validate(args)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the arguments"
        raise BadInput(
            f"{operation.name}: `{where}` cannot be used: {first['msg'].removeprefix('Value error, ')}."
        ) from None


def _signer(reading: Reading, op: str, args: JsonObject, signed: SignedOperation, now_ms: int) -> Person:
    """The enrolled person whose key signed exactly this, just now."""
    holder = holder_of_key(reading, signed.kid)
    if holder is None or holder.person.id != signed.person:
        raise RuleRefused(
            f"The key {signed.kid[:64]} of {signed.person[:64]} is not enrolled here, or was revoked; ask an "
            "admin to enrol it with `bailiwick person add`."
        )
    if not verify_operation(signed, holder.public_key, op, args, now_ms=now_ms):
        raise RuleRefused(
            f"The signature of {holder.person.id} is not good for this operation; check the clock of this "
            "machine and run the command again."
        )
    return holder.person


def _admitted(
    desk: OperationDesk,
    tx: Transaction,
    operation: AnyOperation,
    args: JsonObject,
    given: Arguments,
    signed: SignedOperation,
) -> Person | RuleRefused:
    person = _signer(tx, operation.name, args, signed, desk.now_ms())
    nonces = operation_nonces
    tx.execute(nonces.delete().where(nonces.c.at_ms < tx.now_ms - _REMEMBERED_MS))
    if tx.one(nonces.select().where(nonces.c.nonce == signed.nonce)) is not None:
        return RuleRefused("This very operation was asked for before; run the command again for a new one.")
    tx.execute(nonces.insert(), {"nonce": signed.nonce, "person": person.id, "at_ms": tx.now_ms})
    decision = _decision(desk, operation, given, person)
    body: JsonObject = {
        "op": operation.name,
        "args_digest": signed.args_digest,
        "at": signed.at,
        "nonce": signed.nonce,
        "kid": signed.kid,
        "signature": signed.signature,
        "policies": list(decision.policies),
    }
    if not decision.allowed:
        refused: JsonObject = {**body, "reason": decision.reason}
        tx.append(Entry("operation.refused", person.tenant, refused, principal=person.id))
        return RuleRefused(
            f"{person.id} may not do {operation.name}: {decision.reason}; ask somebody with the role "
            f"{operation.needs}."
        )
    if operation.logged:
        tx.append(Entry("operation.accepted", person.tenant, body, principal=person.id))
    return person


def _decision(desk: OperationDesk, operation: AnyOperation, given: Arguments, person: Person) -> Decision:
    subject = operation.name if operation.subject is None else operation.subject(given)
    match operation.needs:
        case "admin":
            return desk.policies.decide(administer(person, operation.name, person.tenant))
        case "curator":
            return desk.policies.decide(curate(person, subject, person.tenant))
        case "proposer":
            return desk.policies.decide(propose_source(person, subject, person.tenant))
        case "reviewer" | "person":
            # Reading of one's own tenant is open to its people; what a reviewer judges is asked about there.
            return Decision(bool(person.roles), (), "a person needs a role")
