"""Counting tokens: what a budget is measured with, and the name under which a bundle says so.

By default a documented estimate that counts too many rather than too few. Where the settings name a
tokenizer's own file (`tokenizer.json`, as models are published with), that is used, and named by its digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from context_store.errors import StoreError

_MOST_BYTES: Final = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Counter:
    """A way of counting tokens; `name` is the same wherever it counts the same."""

    name: str
    count: Callable[[str], int]


class TokenizerRefused(StoreError):
    """A tokenizer's file that cannot be used."""


def estimate_tokens(text: str) -> int:
    """How many tokens a text takes at most, by the rule `estimate-1`: a third of a token for each ASCII
    character and half a token for each byte of the others, rounded up.

    English prose has 4 to 5 characters a token in the vocabularies in use, and scripts of 3 bytes a character
    at most 1.5 tokens a character, so this counts too many rather than too few; only dense strings such as
    base64 can exceed it, by about a third.
    """
    size = len(text.encode())
    ascii_size = size if size == len(text) else sum(character < "\x80" for character in text)
    return -(-(2 * ascii_size + 3 * (size - ascii_size)) // 6)


ESTIMATE: Final = Counter("estimate-1", estimate_tokens)


def tokenizer_counter(path: Path) -> Counter:
    """A counter by a tokenizer's file, without the tokens that frame a text.

    Raises `TokenizerRefused` with a sentence when the file cannot be used, or the extra is not installed.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise TokenizerRefused(
            f"Counting with {path} needs the extra `tokenizer`; run `pip install 'bailiwick[tokenizer]'`,"
            " or leave the setting out."
        ) from None
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise TokenizerRefused(f"The tokenizer file {path} is larger than 64 MiB; name a tokenizer.json.")
        raw = path.read_bytes()
        tokenizer = Tokenizer.from_str(raw.decode())
    except OSError as error:
        raise TokenizerRefused(f"The tokenizer file {path} cannot be read: {error.strerror}.") from None
    except TokenizerRefused:
        raise
    except Exception:  # noqa: BLE001
        # The library raises a bare Exception for whatever is wrong in the file.
        raise TokenizerRefused(f"{path} is no tokenizer file; name a tokenizer.json.") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return Counter(
        f"tokenizer-{hashlib.sha256(raw).hexdigest()[:16]}",
        lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids),
    )
