"""What the log says about the server's own keys, so that whoever knew the first one can verify all of it.

    key.rotated   {"purpose", "kid", "public_key"}            a new key is the newest of its purpose
    key.retired   {"purpose", "kid", "in_force": {kid: key}}  from this entry on, that key is no longer good

Public keys are base64; a secret has none.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ledger.canonical import JsonObject, JsonValue
from ledger.entries import WHOLE_FOLDER, Entry, StoredEntry
from ledger.keyring import KeyRing, RingKey

ROTATED: Final = "key.rotated"
RETIRED: Final = "key.retired"
KEY_KINDS: Final = frozenset({ROTATED, RETIRED})


@dataclass(frozen=True, slots=True)
class KeyChange:
    """Keys that sign heads from here on, and retired ones with the first size that they may not sign."""

    keys: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    retired: Mapping[str, int] = field(default_factory=dict[str, int])


def rotated(key: RingKey, by: str) -> Entry:
    """The entry that makes a new key known, as the person `by` wanted."""
    public = None if key.public is None else base64.b64encode(key.public).decode()
    body: JsonObject = {"purpose": key.purpose, "kid": key.kid, "public_key": public}
    return Entry(ROTATED, WHOLE_FOLDER, body, principal=by)


def retired(ring: KeyRing, key: RingKey, by: str) -> Entry:
    """The entry that ends a key, and says once more which ones go on."""
    in_force: JsonObject = {
        other.kid: None if other.public is None else base64.b64encode(other.public).decode()
        for other, state in ring.standing()
        if other.purpose == key.purpose and other.kid != key.kid and state != "retired"
    }
    body: JsonObject = {"purpose": key.purpose, "kid": key.kid, "in_force": in_force}
    return Entry(RETIRED, WHOLE_FOLDER, body, principal=by)


def head_key_change(entry: StoredEntry) -> KeyChange:
    """What an entry of `KEY_KINDS` changes for verifying heads; nothing, for keys of another purpose."""
    match entry.body:
        case {"purpose": "head", "kid": str(kid), "public_key": str(key)} if entry.kind == ROTATED:
            return KeyChange(keys=_decoded({kid: key}))
        case {"purpose": "head", "kid": str(kid), "in_force": dict(keys)} if entry.kind == RETIRED:
            return KeyChange(keys=_decoded(keys), retired={kid: entry.seq})
        case _:
            return KeyChange()


def _decoded(keys: Mapping[str, JsonValue]) -> dict[str, bytes]:
    found = {kid: base64.b64decode(key) for kid, key in keys.items() if isinstance(key, str)}
    return {kid: key for kid, key in found.items() if len(key) == 32}
