"""JSON: every value on a line with its name, objects in lists as records, larger parts under headings.

Numbers keep their spelling. A name that stands twice in one object, NaN and Infinity are refused.
"""

import json
from collections.abc import Iterator
from typing import Any, NoReturn, TypeGuard

from context_store.extractors.cleaning import one_line
from context_store.extractors.contract import Reading, Unreadable

_HEADINGS = 6


class _Number(str):
    __slots__ = ()


def read(raw: bytes) -> Reading:
    """The JSON text as Markdown."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(
            f"is not UTF-8 throughout (byte {error.start} is {raw[error.start]:#04x}), as JSON must be;"
            " save it as UTF-8, and add it again"
        ) from error
    try:
        value = _parsed(text)
    except json.JSONDecodeError as error:
        raise Unreadable(f"is not JSON ({error.msg} in line {error.lineno}); correct it") from error
    title = value.get("title") if _is_object(value) else None
    lines = "\n".join(_lines(value, 1)).strip("\n")
    return Reading("markdown", (lines + "\n",), one_line(title) if isinstance(title, str) else None)


def _parsed(text: str) -> object:
    found: object = json.loads(
        text,
        parse_int=_Number,
        parse_float=_Number,
        parse_constant=_no_constant,
        object_pairs_hook=_object,
    )
    return found


def _is_object(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unreadable("has an object in which a name stands twice; correct it")
    return found


def _no_constant(name: str) -> NoReturn:
    raise Unreadable(f"holds {name}, which is no JSON; correct it")


def _lines(value: object, depth: int) -> Iterator[str]:
    if _is_object(value):
        for name, inner in value.items():
            if not _is_large(inner):
                yield f"- {one_line(name)}: {_said(inner)}"
        for name, inner in value.items():
            if _is_large(inner):
                yield from ("", f"{'#' * min(depth, _HEADINGS)} {one_line(name)}", "")
                yield from _lines(inner, depth + 1)
    elif _is_list(value):
        for inner in value:
            yield f"- {_said(inner)}"
    else:
        yield _said(value)


def _is_large(value: object) -> bool:
    if _is_list(value):
        return any(isinstance(inner, dict | list) for inner in value)
    return _is_object(value) and bool(value)


def _flat(value: dict[str, object], path: str) -> Iterator[tuple[str, str]]:
    for name, inner in value.items():
        here = f"{path}{one_line(name)}"
        if _is_object(inner) and inner:
            yield from _flat(inner, f"{here}.")
        else:
            yield here, _said(inner)


def _said(value: object) -> str:
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if _is_list(value):
        return ", ".join(_said(inner) for inner in value)
    if _is_object(value):
        return "; ".join(f"{name}: {said}" for name, said in _flat(value, ""))
    return "null"
