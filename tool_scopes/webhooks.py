"""Signed webhooks as Standard Webhooks 1.0 says: whether a delivery is genuine and fresh. Pure: headers,
body, secrets and the time in, a verdict out.

A delivery is signed over `id.timestamp.body` with HMAC-SHA256; its header may hold several signatures, and
any secret that is good now may have made one of them, so that a sender changes secrets without a gap.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how every secret begins
TOLERANCE_S: Final = 300
"""How far a delivery's time may be from ours, in seconds, to either side."""

MAX_ID: Final = 200
_MAX_SIGNATURES: Final = 16
_KEY_BYTES: Final = range(24, 65)
"""How long a key is, in bytes (Standard Webhooks, "signature scheme")."""

_ID = re.compile(r"[\x21-\x7e]{1,200}")
_SECONDS = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery whose signature is genuine. `id` stays the same when the sender tries again."""

    id: str
    body: bytes


def verify_delivery(
    headers: Mapping[str, str], body: bytes, keys: Iterable[bytes], now_ms: int
) -> Delivery | str:
    """The delivery, or why it is none: for the log, never for the sender."""
    delivery_id = headers.get("webhook-id", "")
    stamp = headers.get("webhook-timestamp", "")
    if _ID.fullmatch(delivery_id) is None:
        return "webhook-id is missing, or no id"
    if _SECONDS.fullmatch(stamp) is None:
        return "webhook-timestamp is missing, or no time in seconds"
    given = [one[3:] for one in headers.get("webhook-signature", "").split(" ") if one.startswith("v1,")]
    genuine = False
    for key in keys:
        expected = signature(key, delivery_id, stamp, body)
        for one in given[:_MAX_SIGNATURES]:
            genuine |= hmac.compare_digest(expected.encode(), one.encode("utf-8", "replace"))
    if not genuine:
        return "no signature of it is by a secret that is good now"
    if abs(int(stamp) * 1000 - now_ms) > TOLERANCE_S * 1000:
        return "webhook-timestamp is too far from now"
    return Delivery(delivery_id, body)


def signature(key: bytes, delivery_id: str, stamp: str, body: bytes) -> str:
    """The signature of one delivery, in base64 and without its version."""
    signed = f"{delivery_id}.{stamp}.".encode() + body
    return base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def new_secret() -> str:
    """A fresh secret as it is given to a sender."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """The key that a secret stands for. Raises `ValueError`, which never repeats it."""
    text = secret.strip()
    if not text.startswith(SECRET_PREFIX):
        raise ValueError(f"a secret starts with {SECRET_PREFIX}, and this one does not")
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"what follows {SECRET_PREFIX} is base64, and this is not") from None
    if len(key) not in _KEY_BYTES:
        raise ValueError(
            f"a key has {_KEY_BYTES.start} to {_KEY_BYTES.stop - 1} bytes, and this has {len(key)}"
        )
    return key
