"""Time as this project writes it: whole milliseconds since the epoch, UTC, and one text form of them.

Pure functions take `now_ms`; only the edges own a `Clock`.
"""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

Clock = Callable[[], int]
"""Gives the present time in milliseconds since the epoch."""

_FORM = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{3})Z", re.ASCII)


def system_now_ms() -> int:
    """The operating system's clock, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def rfc3339(ms: int) -> str:
    """Write an instant as `2026-11-22T23:45:00.123Z`: UTC, three decimals; text order is time order."""
    seconds, milliseconds = divmod(ms, 1000)
    return f"{_second(seconds)}.{milliseconds:03d}Z"


def parse_rfc3339(text: str) -> int:
    """Read exactly the form that `rfc3339` writes; `ValueError` for any other spelling of that instant."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is no time in UTC with three decimals: 2026-11-22T23:45:00.123Z.")
    return _seconds(found[1]) * 1000 + int(found[2])


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    """A second without its decimals; remembered, because one call writes the same second many times."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


@lru_cache(maxsize=64)
def _seconds(text: str) -> int:
    """Seconds since the epoch; remembered, because neighbours in a log often share them."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
