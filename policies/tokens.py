"""Approval tokens: what an agent carries from a request to the approved call.

A token is `apr_` and 26 characters of Crockford's base32 in lower case: 130 bits of an HMAC over the
request's id, under a secret of the server. So it needs no storing: the server derives it again when it is
asked for, and the table holds only its SHA-256, by which a presented token is found. Looking up a digest
needs no constant-time comparison: how long the look-up takes depends on the digest, and nobody can choose a
token by its digest.

A token proves nothing by itself. It names a request; redemption still asks whose call it is and who signed
for it.
"""

import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

from ledger.ids import base32, is_id

PREFIX: Final = "apr"
_DOMAIN: Final = b"bailiwick-approval-token-v1\0"


def derive_token(secret: bytes, request_id: str) -> str:
    """The token of the request `request_id` under `secret` (at least 32 bytes: the key ring's
    `approval-token`).
    """
    if len(secret) < 32:
        raise ValueError("the secret for approval tokens needs 32 bytes")
    mac = hmac.digest(secret, _DOMAIN + request_id.encode(), "sha256")
    return f"{PREFIX}_{base32(int.from_bytes(mac))}"


def token_under(secrets: Iterable[bytes], request_id: str, digest: str) -> str:
    """The token of a request, by that one of the secrets in force from which its `digest` follows.

    `LookupError` if none of them is: the secret was retired, which waits until no request needs it.
    """
    for secret in secrets:
        token = derive_token(secret, request_id)
        if token_digest(token) == digest:
            return token
    raise LookupError(f"the secret behind the token of {request_id} is retired")


def parse_token(text: object) -> str | None:
    """`text` if it has exactly a token's shape, else None.

    Strict on purpose: no trimming, no upper case, no Crockford aliases (`O` for `0`), so one token has one
    spelling.
    """
    return text if isinstance(text, str) and is_id(PREFIX, text) else None


def token_digest(token: str) -> str:
    """The SHA-256 of a token in hexadecimal: the form in which the ledger knows it."""
    return hashlib.sha256(token.encode()).hexdigest()
