"""Values exactly as they would be sent, in lines that fit a terminal and can be read back without doubt.

A line that goes on ends in ↩, so nothing is lost where it was folded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich.cells import cell_len, chop_cells

from server.shown_text import exact_values

FOLD: Final = "↩"
_WIDEST_NAME: Final = 28


def exact_lines(arguments: dict[str, Any], width: int, sealed: frozenset[str] = frozenset()) -> Iterator[str]:
    """Every value below `arguments` with its place; those named in `sealed` are commitments."""
    return value_lines(exact_values(arguments, sealed), width)


def value_lines(values: Sequence[tuple[str, str]], width: int) -> Iterator[str]:
    """Places and values in two columns."""
    column = min(_WIDEST_NAME, max((cell_len(place) for place, _ in values), default=0))
    for place, text in values:
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
