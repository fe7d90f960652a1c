"""Values exactly as they would be sent, in lines that fit a terminal and can be read back without doubt.

Texts stand in quotation marks, so that "5" is not 5; every character that could make one read differently is
escaped; a line that goes on ends in ↩, so nothing is lost where it was folded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from rich.cells import cell_len, chop_cells

from server.cli.printing import plain

FOLD: Final = "↩"
_WIDEST_NAME: Final = 28
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def exact(value: Any) -> str:
    """One value that holds no others."""
    if isinstance(value, str):
        return '"' + plain(value).replace('"', '\\"') + '"'
    return json.dumps(value)


def exact_lines(arguments: dict[str, Any], width: int, sealed: frozenset[str] = frozenset()) -> Iterator[str]:
    """Every value below `arguments` with its place; those named in `sealed` are commitments."""
    rows = [
        (place, value, name in sealed)
        for name in arguments
        for place, value in _leaves(name, arguments[name])
    ]
    column = min(_WIDEST_NAME, max((cell_len(place) for place, _, _ in rows), default=0))
    for place, value, is_sealed in rows:
        text = f"(secret) {plain(value)}" if is_sealed else exact(value)
        head = place + " " * (column - cell_len(place)) if cell_len(place) <= column else place
        if cell_len(place) > column:
            yield from folded(head, width)
            head = " " * column
        first, *more = folded(text, max(20, width - column - 2))
        yield f"{head}  {first}"
        yield from (f"{' ' * column}  {line}" for line in more)


def folded(text: str, width: int) -> list[str]:
    """A text in lines of at most `width` cells; all but the last end in the mark of a fold."""
    if cell_len(text) <= width:
        return [text]
    *lines, last = chop_cells(text, width - 1)
    return [*(line + FOLD for line in lines), last]


def _leaves(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    shown = plain(place) if "[" not in place and "." not in place else place
    if isinstance(value, dict) and value:
        inner: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
        for key, item in inner.items():
            dotted = f".{key}" if _PLAIN_KEY.fullmatch(key) else f"[{exact(key)}]"
            yield from _leaves(shown + dotted, item)
    elif isinstance(value, list) and value:
        items: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
        for index, item in enumerate(items):
            yield from _leaves(f"{shown}[{index}]", item)
    else:
        yield shown, value
