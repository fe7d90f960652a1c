"""What ties the server's own keys to people: an administrator's signed statement that a key is this server's.

Without it, a key would be known only by what carries it. The statement is `{v, origin, purpose, kid,
public_key}`; the first one is signed with the root key when a folder is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger.canonical import JsonObject
from ledger.entries import WHOLE_FOLDER, Entry
from ledger.keyring import key_id
from ledger.statements import fixed, param
from ledger.transaction import Reading, Transaction
from policies.errors import EnrolmentRefused, PolicyError
from policies.people import holder_of_key
from policies.signing import SERVER_KEY_DOMAIN, PersonalKey, parse_public_key, sign, verify
from policies.tables import server_key_vouchers

VOUCHER_VERSION: Final = 1
EXPORT: Final = "export"
"""The purpose of the key that signs exported approvals."""

_OF_KEY = fixed(server_key_vouchers.select().where(server_key_vouchers.c.kid == param("server_key")))


@dataclass(frozen=True, slots=True)
class ServerKey:
    """That `public_key` (base64url) is a key of the server with the log `origin`, for one purpose."""

    origin: str
    purpose: str
    public_key: str

    @property
    def kid(self) -> str:
        """The id of the key."""
        return key_id(parse_public_key(self.public_key))

    def as_json(self) -> JsonObject:
        """The statement that is signed."""
        return {
            "v": VOUCHER_VERSION,
            "origin": self.origin,
            "purpose": self.purpose,
            "kid": self.kid,
            "public_key": self.public_key,
        }


@dataclass(frozen=True, slots=True)
class Voucher:
    """A server key, the id of the administrator's key that signed for it, and the signature (base64url)."""

    key: ServerKey
    signed_by: str
    signature: str

    def is_signed_with(self, public_key: str) -> bool:
        """Whether the holder of `public_key` (base64url) signed exactly this."""
        return verify(public_key, SERVER_KEY_DOMAIN, self.key.as_json(), self.signature)

    def as_json(self) -> JsonObject:
        """What the log entry `server_key.vouched` holds."""
        return {"statement": self.key.as_json(), "signed_by": self.signed_by, "signature": self.signature}


def sign_server_key(key: PersonalKey, server_key: ServerKey) -> Voucher:
    """State, as the administrator who holds `key`, that this is a key of their server."""
    return Voucher(server_key, key.kid, sign(key, SERVER_KEY_DOMAIN, server_key.as_json()))


def voucher_from_json(body: JsonObject) -> Voucher | None:
    """The voucher in the body of a log entry, or None if that is not exactly what `as_json` writes."""
    match body:
        case {
            "signed_by": str(signed_by),
            "signature": str(signature),
            "statement": {"origin": str(origin), "purpose": str(purpose), "public_key": str(public_key)},
        }:
            voucher = Voucher(ServerKey(origin, purpose, public_key), signed_by, signature)
        case _:
            return None
    try:
        return voucher if voucher.as_json() == body else None
    except PolicyError:
        return None


def vouch(tx: Transaction, voucher: Voucher, *, by: str) -> None:
    """Take an administrator's word for a key of the server. Once is enough; again changes nothing."""
    holder = holder_of_key(tx, voucher.signed_by)
    if holder is None or holder.person.id != by or "admin" not in holder.person.roles:
        raise EnrolmentRefused(
            f"{voucher.signed_by[:64]} is no admin's key of {by}; an admin signs for keys."
        )
    if not voucher.is_signed_with(holder.public_key):
        raise EnrolmentRefused("The signature is not over exactly this key of the server; sign it again.")
    if tx.one(_OF_KEY, {"server_key": voucher.key.kid}) is not None:
        return
    seq = tx.append(Entry("server_key.vouched", WHOLE_FOLDER, voucher.as_json(), principal=by))
    tx.execute(server_key_vouchers.insert(), {"kid": voucher.key.kid, "seq": seq})


def voucher_seq(reading: Reading, kid: str) -> int | None:
    """The log entry in which an administrator signed for this key of the server."""
    row = reading.one(_OF_KEY, {"server_key": kid})
    return None if row is None else int(row.seq)
