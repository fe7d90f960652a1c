"""Names for new things: sortable ids, and tokens that nobody can guess.

Both are a prefix, `_`, and 26 characters of Crockford's base32 in lower case (no i, l, o, u: they survive
being read aloud).
"""

import secrets

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base32, lower case: the 32 characters that follow the prefix."""

LENGTH = 26
"""Characters after the prefix: 26 × 5 = 130 bits."""


def new_id(prefix: str, now_ms: int) -> str:
    """A unique id that sorts by time: 48 bits of milliseconds, then 80 random bits (the layout of a ULID)."""
    return f"{prefix}_{base32(((now_ms & (1 << 48) - 1) << 80) | secrets.randbits(80))}"


def random_token(prefix: str) -> str:
    """An unguessable token of 130 random bits."""
    return f"{prefix}_{base32(secrets.randbits(130))}"


def is_id(prefix: str, text: str) -> bool:
    """Whether `text` has exactly the shape that `new_id` and `random_token` give for this prefix."""
    head, separator, tail = text.partition("_")
    return head == prefix and separator == "_" and len(tail) == LENGTH and set(tail) <= _CHARACTERS


def base32(number: int) -> str:
    """The lowest 130 bits of a number as 26 characters; text order is number order."""
    return "".join(ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


_CHARACTERS = frozenset(ALPHABET)
