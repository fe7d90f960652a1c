"""Triggers: signed webhooks that open runs of one workflow for one agent.

A trigger's secrets are kept encrypted under the server's ring; they are shown once and logged never. A new
secret takes over from the older ones with an overlap.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.canonical import JsonObject, JsonValue, canonical
from ledger.entries import Entry
from ledger.ids import new_id
from ledger.keyring import KeyRing
from ledger.statements import fixed, param
from ledger.transaction import AnyRow, Reading, Transaction
from tool_scopes.facts import at_pointer
from tool_scopes.tables import trigger_secrets, triggers

PAYLOAD: Final = "/data"
"""Where a payload holds what happened (Standard Webhooks, "payload structure")."""

_KEY_DOMAIN: Final = b"bailiwick-trigger-v1\0"
_NONCE_BYTES: Final = 12

_BY_NAME = fixed(triggers.select().where(triggers.c.name == param("named"), triggers.c.removed_ms.is_(None)))
_SECRETS = fixed(
    trigger_secrets.select()
    .where(
        trigger_secrets.c.trigger == param("of_trigger"),
        (trigger_secrets.c.until_ms.is_(None)) | (trigger_secrets.c.until_ms > param("now_ms")),
    )
    .order_by(trigger_secrets.c.made_ms, trigger_secrets.c.id)
)


class TriggerRefused(ValueError):
    """A trigger cannot be made or changed as asked; one sentence for the person at the terminal."""


class PayloadRefused(ValueError):
    """A payload does not hold what the trigger takes from it; one sentence for the sender."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """One trigger. `takes` says where in the payload each key of the run's input stands; empty: the payload's
    `data` is the input. `event` is the only type of event that opens a run; None: every one does.
    """

    id: str
    name: str
    tenant: str
    workflow: str
    agent: str
    event: str | None
    takes: Mapping[str, str]
    made_ms: int

    def input_of(self, payload: JsonObject) -> JsonObject:
        """What the run is opened with. Raises `PayloadRefused`."""
        if self.takes:
            return {key: _at(payload, pointer) for key, pointer in self.takes.items()}
        data = _at(payload, PAYLOAD)
        if not isinstance(data, dict):
            raise PayloadRefused("`data` of the payload is no object.")
        return data

    def ignores(self, payload: JsonObject) -> bool:
        """Whether this event is of a type that the trigger was not made for."""
        return self.event is not None and payload.get("type") != self.event


def add_trigger(
    tx: Transaction,
    ring: KeyRing,
    *,
    name: str,
    tenant: str,
    workflow: str,
    agent: str,
    event: str | None,
    takes: Mapping[str, str],
    key: bytes,
    by: str,
) -> Trigger:
    """Make a trigger with its first key."""
    if find_trigger(tx, name) is not None:
        raise TriggerRefused(f"There is a trigger {name} already; choose another name, or remove it first.")
    made = Trigger(new_id("trg", tx.now_ms), name, tenant, workflow, agent, event, dict(takes), tx.now_ms)
    row = {
        "id": made.id,
        "name": name,
        "tenant": tenant,
        "workflow": workflow,
        "agent": agent,
        "event": event,
        "takes": canonical(dict(takes)).decode(),
        "made_ms": tx.now_ms,
    }
    tx.execute(triggers.insert(), row)
    kept = _keep(tx, ring, made, key)
    body: JsonObject = {
        "trigger": made.id,
        "name": name,
        "workflow": workflow,
        "agent": agent,
        "event": event,
        "takes": dict(takes),
        "secret": kept,
    }
    tx.append(Entry("trigger.added", tenant, body, principal=by))
    return made


def rotate_secret(
    tx: Transaction, ring: KeyRing, trigger: Trigger, key: bytes, *, overlap_ms: int, by: str
) -> int:
    """Add a key; those before it stay good for the overlap. Gives when they end."""
    until_ms = tx.now_ms + overlap_ms
    c = trigger_secrets.c
    later = (c.until_ms.is_(None)) | (c.until_ms > until_ms)
    tx.execute(trigger_secrets.delete().where(c.trigger == trigger.id, c.until_ms <= tx.now_ms))
    tx.execute(trigger_secrets.update().where(c.trigger == trigger.id, later).values(until_ms=until_ms))
    body: JsonObject = {"trigger": trigger.id, "secret": _keep(tx, ring, trigger, key), "until_ms": until_ms}
    tx.append(Entry("trigger.rotated", trigger.tenant, body, principal=by))
    return until_ms


def remove_trigger(tx: Transaction, trigger: Trigger, *, by: str) -> None:
    """End a trigger: from the next delivery on it is as if it had never been. Its secrets are erased."""
    tx.execute(triggers.update().where(triggers.c.id == trigger.id).values(removed_ms=tx.now_ms))
    tx.execute(trigger_secrets.delete().where(trigger_secrets.c.trigger == trigger.id))
    tx.append(Entry("trigger.removed", trigger.tenant, {"trigger": trigger.id}, principal=by))


def find_trigger(reading: Reading, name: str) -> Trigger | None:
    """The trigger of that name, unless it was removed."""
    row = reading.one(_BY_NAME, {"named": name})
    return None if row is None else _trigger_of_row(row)


def list_triggers(reading: Reading, tenant: str) -> list[Trigger]:
    """Every trigger of a tenant that was not removed, by name."""
    query = triggers.select().where(triggers.c.tenant == tenant, triggers.c.removed_ms.is_(None))
    return [_trigger_of_row(row) for row in reading.all(query.order_by(triggers.c.name))]


def secrets_of(reading: Reading, trigger: Trigger, now_ms: int) -> list[tuple[str, int | None]]:
    """The ids of the secrets that are good now, oldest first, each with when it ends."""
    rows = reading.all(_SECRETS, {"of_trigger": trigger.id, "now_ms": now_ms})
    return [(row.id, row.until_ms) for row in rows]


def keys_of(reading: Reading, ring: KeyRing, trigger: Trigger, now_ms: int) -> list[bytes]:
    """The keys that may have signed a delivery now."""
    rows = reading.all(_SECRETS, {"of_trigger": trigger.id, "now_ms": now_ms})
    opened = (_open(ring.secrets("sealing"), row) for row in rows)
    return [key for key in opened if key is not None]


def triggers_locked_without(tx: Transaction, keys: Sequence[bytes]) -> int:
    """How many secrets of triggers, good now, none of these secrets of the ring opens."""
    c = trigger_secrets.c
    good = trigger_secrets.select().where((c.until_ms.is_(None)) | (c.until_ms > tx.now_ms))
    return sum(_open(keys, row) is None for row in tx.all(good))


def _keep(tx: Transaction, ring: KeyRing, trigger: Trigger, key: bytes) -> str:
    name, salt, nonce = (
        new_id("whs", tx.now_ms),
        secrets.token_bytes(32),
        secrets.token_bytes(_NONCE_BYTES),
    )
    sealed = AESGCM(_under(ring.secret("sealing"), salt)).encrypt(nonce, key, name.encode())
    row = {"id": name, "trigger": trigger.id, "salt": salt, "sealed": nonce + sealed, "made_ms": tx.now_ms}
    tx.execute(trigger_secrets.insert(), row)
    return name


def _open(keys: Iterable[bytes], row: AnyRow) -> bytes | None:
    sealed, salt = bytes(row.sealed), bytes(row.salt)
    for key in keys:
        with suppress(InvalidTag):
            opener = AESGCM(_under(key, salt))
            return opener.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], row.id.encode())
    return None


def _under(key: bytes, salt: bytes) -> bytes:
    return hmac.digest(key, _KEY_DOMAIN + salt, "sha256")


def _at(payload: JsonObject, pointer: str) -> JsonValue:
    try:
        return at_pointer(payload, pointer)
    except LookupError:
        raise PayloadRefused(f"The payload has nothing at {pointer}.") from None


def _trigger_of_row(row: Any) -> Trigger:
    return Trigger(
        row.id,
        row.name,
        row.tenant,
        row.workflow,
        row.agent,
        row.event,
        json.loads(row.takes),
        row.made_ms,
    )
