"""Secret arguments: sealed as soon as they are complete, and open again only in the frame to the upstream.

What is judged, approved, shown and logged is a commitment: a salted digest of the value. The value itself
is kept encrypted beside its salt in a row that can be erased; the key comes from that salt and from the
server's ring, so neither is worth anything alone. Once the salt is gone nothing connects the commitment
with any value, and every proof that holds the commitment is as good as before.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.canonical import JsonObject, JsonValue, canonical
from ledger.entries import Entry
from ledger.keyring import KeyRing
from ledger.statements import fixed, param
from ledger.transaction import AnyRow, Reading, Transaction
from policies.codes import Denial
from tool_scopes.runs import Run
from tool_scopes.tables import sealed_arguments
from tool_scopes.views import ViewTool

SEALED_PREFIX: Final = "sealed:"
MAX_OF_ARGUMENT: Final = 40
"""How many different values of one secret argument a run may bring."""

_COMMITMENT_DOMAIN: Final = b"bailiwick-secret-v1\0"
_KEY_DOMAIN: Final = b"bailiwick-sealing-v1\0"
_NONCE_BYTES: Final = 12

_OF_ARGUMENT = fixed(
    sealed_arguments.select().where(
        sealed_arguments.c.run == param("of_run"),
        sealed_arguments.c.tool == param("of_tool"),
        sealed_arguments.c.argument == param("named"),
    )
)
_KEPT = fixed(sealed_arguments.select().where(sealed_arguments.c.salt.is_not(None)))
_KEEP = fixed(sealed_arguments.insert())
_ERASE = fixed(
    sealed_arguments.update()
    .where(sealed_arguments.c.commitment == param("committed"), sealed_arguments.c.salt.is_not(None))
    .values(salt=None, sealed=None, erased_ms=param("now_ms"))
    .returning(sealed_arguments.c.commitment)
)


def seal(
    tx: Transaction, ring: KeyRing, run: Run, tool: ViewTool, arguments: JsonObject
) -> JsonObject | Denial:
    """The arguments with a commitment in the place of every secret. The same value in the same run has the
    same one, so a call that is sent again is the same call.
    """
    judged = dict(arguments)
    for name in sorted(tool.view.secrets & arguments.keys()):
        committed = _committed(tx, ring, run, tool, name, arguments[name])
        if isinstance(committed, Denial):
            return committed
        judged[name] = committed
    return judged


def unseal(reading: Reading, ring: KeyRing, run: Run, tool: ViewTool, given: JsonObject) -> JsonObject:
    """What an agent gave, with the value in the place of each commitment of this run: so a secret that was
    brought once need not be carried from step to step. Anything else stays as it is.
    """
    opened = dict(given)
    for name in tool.view.secrets & given.keys():
        text = given[name]
        if isinstance(text, str) and text.startswith(SEALED_PREFIX):
            for row in _rows(reading, run, tool, name):
                if row.commitment == text and row.salt is not None:
                    opened[name] = _open(ring, row)
    return opened


def sealed_in(arguments: JsonObject, names: frozenset[str]) -> list[str]:
    """The commitments among judged arguments; `names` are those that are secret."""
    found = (arguments.get(name) for name in sorted(names))
    return [text for text in found if isinstance(text, str) and text.startswith(SEALED_PREFIX)]


def erase(tx: Transaction, commitments: list[str], *, tenant: str, run: str, request: str, by: str) -> int:
    """Make sealed values unreadable for ever; how many there were. What was proven stays proven."""
    gone = [
        name for name in commitments if tx.one(_ERASE, {"committed": name, "now_ms": tx.now_ms}) is not None
    ]
    if gone:
        body: JsonObject = {"request": request, "commitments": list[JsonValue](gone)}
        tx.append(Entry("secret.erased", tenant, body, principal=by, run=run))
    return len(gone)


def locked_without(reading: Reading, keys: Sequence[bytes]) -> int:
    """How many sealed arguments, not erased, none of these secrets of the ring opens."""
    return sum(_plain(keys, row) is None for row in reading.all(_KEPT))


def redacted(text: str, tool: ViewTool, arguments: JsonObject) -> str:
    """A text of an upstream, before it is written down, without the secrets that it was sent."""
    for name in tool.view.secrets & arguments.keys():
        value = arguments[name]
        shown = value if isinstance(value, str) else canonical(value).decode()
        for spelled in (shown, json.dumps(shown)[1:-1], json.dumps(shown, ensure_ascii=False)[1:-1]):
            if spelled:
                text = text.replace(spelled, "[secret]")
    return text


def _committed(
    tx: Transaction, ring: KeyRing, run: Run, tool: ViewTool, name: str, value: JsonValue
) -> str | Denial:
    rows = _rows(tx, run, tool, name)
    for row in rows:
        if row.salt is not None and _commitment(bytes(row.salt), tool.name, name, value) == row.commitment:
            return str(row.commitment)
    if len(rows) >= MAX_OF_ARGUMENT:
        return Denial("rate_limited", reason=f"run {run.id} brought {len(rows)} values of the secret {name}")
    salt, nonce = secrets.token_bytes(32), secrets.token_bytes(_NONCE_BYTES)
    commitment = _commitment(salt, tool.name, name, value)
    sealed = AESGCM(_under(ring.secret("sealing"), salt)).encrypt(
        nonce, canonical(value), commitment.encode()
    )
    row = {
        "commitment": commitment,
        "tenant": run.tenant,
        "run": run.id,
        "tool": tool.name,
        "argument": name,
        "salt": salt,
        "sealed": nonce + sealed,
        "sealed_ms": tx.now_ms,
    }
    tx.run(_KEEP, row)
    return commitment


def _open(ring: KeyRing, row: AnyRow) -> JsonValue:
    plain = _plain(ring.secrets("sealing"), row)
    if plain is None:
        return str(row.commitment)  # sealed under another ring: then it is a text like any other
    value: JsonValue = json.loads(plain)
    return value


def _plain(keys: Sequence[bytes], row: AnyRow) -> bytes | None:
    sealed, salt = bytes(row.sealed), bytes(row.salt)
    for key in keys:
        with suppress(InvalidTag):
            opener = AESGCM(_under(key, salt))
            return opener.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], row.commitment.encode())
    return None


def _rows(reading: Reading, run: Run, tool: ViewTool, name: str) -> list[AnyRow]:
    return reading.all(_OF_ARGUMENT, {"of_run": run.id, "of_tool": tool.name, "named": name})


def _commitment(salt: bytes, tool: str, name: str, value: JsonValue) -> str:
    whole = _COMMITMENT_DOMAIN + salt + canonical([tool, name, value])
    return SEALED_PREFIX + hashlib.sha256(whole).hexdigest()


def _under(key: bytes, salt: bytes) -> bytes:
    return hmac.digest(key, _KEY_DOMAIN + salt, "sha256")
