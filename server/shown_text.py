"""Texts of others as people see them, at a terminal and in a browser alike: in one line, every character that
could fool a reader escaped, and values exactly as they would be sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def plain(text: object) -> str:
    """A text in one line, with every suspicious character escaped."""
    from policies.display import suspicious_characters

    return "" if text is None else suspicious_characters(str(text)).text


def exact(value: Any) -> str:
    """One value that holds no others. Texts stand in quotation marks, so that "5" is not 5."""
    if isinstance(value, str):
        return '"' + plain(value).replace('"', '\\"') + '"'
    return json.dumps(value)


def exact_values(arguments: dict[str, Any], sealed: frozenset[str] = frozenset()) -> list[tuple[str, str]]:
    """Every value below `arguments`: its place, and how it reads; those named in `sealed` are commitments."""
    return [
        (place, f"(secret) {plain(value)}" if name in sealed else exact(value))
        for name in arguments
        for place, value in _leaves(name, arguments[name])
    ]


def conflict_in_words(conflict: dict[str, Any]) -> str:
    """What two sources say differently."""
    sides = conflict.get("sides", [])
    said = "; ".join(f"{plain(side.get('item'))} says {plain(side.get('value'))}" for side in sides)
    return f"{plain(conflict.get('fact') or 'another ' + str(conflict.get('kind')))}: {said}"


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
