"""The server's own keys: which there are, a new one that takes over, an old one that ends."""

from __future__ import annotations

from pydantic import Field

from ledger.canonical import JsonObject, JsonValue
from ledger.heads import write_vkey
from ledger.key_changes import retired, rotated
from ledger.keyring import KeyState, Purpose, RingKey
from ledger.transaction import Transaction
from policies.principals import Person
from policies.requests import OPEN_STATES, ApprovalRequest, list_requests
from policies.tokens import token_under
from server.errors import BadInput, RuleRefused
from server.operations.operation import Arguments, NoArguments, Operation, OperationDesk
from tool_scopes.sealing import locked_without
from tool_scopes.triggers import triggers_locked_without


class Rotate(Arguments):
    """What the new key is for."""

    purpose: Purpose


class Retire(Arguments):
    """Which key ends."""

    kid: str = Field(min_length=1, max_length=64)


def _ring(desk: OperationDesk, _person: Person, _given: NoArguments) -> JsonObject:
    keys: list[JsonValue] = [_shown(desk, key, state) for key, state in desk.ring.standing()]
    return {"keys": keys}


def _rotate(desk: OperationDesk, person: Person, given: Rotate) -> JsonObject:
    made = desk.ring.add(given.purpose)

    def write_down(tx: Transaction) -> None:
        tx.append(rotated(made, person.id))

    # The head over this entry is signed by the older key too: whoever trusts that one learns of the new one.
    desk.ledger.transact_now(write_down)
    return _shown(desk, made, "newest")


def _retire(desk: OperationDesk, person: Person, given: Retire) -> JsonObject:
    found = {key.kid: (key, state) for key, state in desk.ring.standing()}.get(given.kid)
    if found is None:
        raise BadInput(f"The ring has no key {given.kid}; `bailiwick key ring` lists those there are.")
    key, state = found
    if state != "overlapping":
        why = "is retired already" if state == "retired" else "is the newest of its purpose; rotate it first"
        raise RuleRefused(f"{key.kid} {why}.")

    def write_down(tx: Transaction) -> int:
        if key.purpose == "approval-token":
            _refuse_needed(desk, tx, key.kid)
        if key.purpose == "sealing":
            _refuse_locking(desk, tx, key.kid)
        return tx.append(retired(desk.ring, key, person.id))

    seq = desk.ledger.transact_now(write_down)
    desk.ring.retire(key.kid, seq)
    return _shown(desk, key, "retired")


def _refuse_needed(desk: OperationDesk, tx: Transaction, kid: str) -> None:
    """`RuleRefused` while a request that can still be redeemed has its token from this secret."""
    others = desk.ring.secrets_without("approval-token", kid)
    waiting = [
        request for request in _unspent(tx) if not _derivable(others, request.id, request.token_digest)
    ]
    if waiting:
        last = max(waiting, key=lambda request: request.expires_ms)
        raise RuleRefused(
            f"{len(waiting)} open requests carry tokens of {kid}; retire it when the last of them, "
            f"{last.id}, is used or over."
        )


def _refuse_locking(desk: OperationDesk, tx: Transaction, kid: str) -> None:
    """`RuleRefused` while sealed arguments that were not erased open with this secret alone."""
    locked = locked_without(tx, desk.ring.secrets_without("sealing", kid))
    if locked:
        raise RuleRefused(
            f"{locked} sealed arguments open with {kid} alone; erase those of requests that are over "
            "(`bailiwick approval erase`), and retire it then."
        )
    triggers = triggers_locked_without(tx, desk.ring.secrets_without("sealing", kid))
    if triggers:
        raise RuleRefused(
            f"{triggers} secrets of triggers open with {kid} alone; give those triggers new ones "
            "(`bailiwick trigger rotate`), and retire it when the old ones have ended."
        )


def _unspent(tx: Transaction) -> list[ApprovalRequest]:
    """Requests that can still be judged or redeemed."""
    return [one for one in list_requests(tx, states=OPEN_STATES) if one.expires_ms > tx.now_ms]


def _derivable(secrets: list[bytes], request_id: str, digest: str) -> bool:
    try:
        token_under(secrets, request_id, digest)
    except LookupError:
        return False
    return True


def _shown(desk: OperationDesk, key: RingKey, state: KeyState) -> JsonObject:
    vkey = None if key.public is None else write_vkey(desk.ledger.origin, key.public)
    return {"kid": key.kid, "purpose": key.purpose, "state": state, "public_key": vkey}


OPERATIONS = (
    Operation("key.ring", NoArguments, "person", _ring, logged=False),
    Operation("key.rotate", Rotate, "admin", _rotate),
    Operation("key.retire", Retire, "admin", _retire),
)
