"""How results are printed: JSON for programs, plain tables for people, and nothing that could fool a
terminal.

Texts of agents, upstreams and documents are shown with every suspicious character escaped.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from server.shown_text import plain

__all__ = ["paragraph", "plain", "print_json", "print_pairs", "print_table", "tell"]


def print_json(value: Any) -> None:
    """A value as indented JSON, in ASCII where a character could fool a reader."""
    print(json.dumps(value, indent=2, ensure_ascii=True))


def paragraph(text: str) -> str:
    """A text with its line breaks kept and every other suspicious character escaped."""
    return "\n".join(plain(line) for line in text.split("\n"))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows under headings, as wide as they are: a listing is also read by other programs."""
    cells = [[plain(cell) for cell in row] for row in rows]
    if not cells:
        print("(none)", file=sys.stderr)
        return
    widths = [max(len(row[at]) for row in [list(headings), *cells]) for at in range(len(headings))]
    for row in [[heading.upper() for heading in headings], *cells]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def print_pairs(pairs: Iterable[tuple[str, object]]) -> None:
    """Names and values, one a line."""
    shown = [(name, plain(value)) for name, value in pairs]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        print(f"{name.ljust(width)}  {value}".rstrip())


def tell(text: str) -> None:
    """A word to the person, beside the result: on stderr, so that stdout stays what was asked for."""
    print(text, file=sys.stderr)
