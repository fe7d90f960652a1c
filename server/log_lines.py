"""Log lines for people or for machines, and no secret in either.

What is logged is ours, and may still quote what came from elsewhere: an upstream's error, a database's URL.
So everything that has the form of a credential is replaced before a line is written.
"""

from __future__ import annotations

import json
import logging
import re
from typing import Final

from ledger.clock import rfc3339

REPLACED: Final = "[secret]"

_CREDENTIALS: Final = (
    re.compile(r"\b(?:bwk|bwp|apr)_[0-9a-z]{10,}", re.IGNORECASE),
    re.compile(r"(?<=bearer )\S+", re.IGNORECASE),
    # A JSON object in base64url, a dot, another one: a token's header and claims.
    re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?"),
    re.compile(r"(?<=://)[^\s/@:]*:[^\s/@]+(?=@)"),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
)


def without_secrets(text: str) -> str:
    """The text with everything that has the form of a credential replaced."""
    for pattern in _CREDENTIALS:
        text = pattern.sub(REPLACED, text)
    return text


class TextLines(logging.Formatter):
    """One line for a person."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the traceback below it where there is one."""
        return without_secrets(super().format(record))


class JsonLines(logging.Formatter):
    """One JSON object in one line."""

    def format(self, record: logging.LogRecord) -> str:
        """The object: `time`, `level`, `logger`, `message`, and `error` where there is one."""
        said = {
            "time": rfc3339(int(record.created * 1_000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
        }
        if record.exc_info:
            said["error"] = without_secrets(self.formatException(record.exc_info))
        return json.dumps(said, ensure_ascii=False)
