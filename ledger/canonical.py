"""JSON with one meaning and one spelling.

What is judged, approved, executed and logged must be the same bytes for everybody. So JSON comes in through
strict limits, a number has one form in memory (`1.0` is `1`), and values go out as RFC 8785. Text is never
normalised: two strings that only look alike stay two strings.
"""

import hashlib
import json
import re
from typing import NoReturn, TypeAlias, cast

import orjson
import rfc8785

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
"""Any JSON value."""

JsonObject: TypeAlias = dict[str, JsonValue]
"""A JSON object."""

MAX_BYTES = 65_536
"""The longest JSON text that is accepted unless a caller says otherwise, in bytes of UTF-8."""

MAX_DEPTH = 32
"""How many lists and objects may be nested in each other in what comes in."""

OWN_DEPTH = 2 * MAX_DEPTH
"""The same for what we write: our records wrap what came in."""

MAX_NUMBER = 2**53 - 1
"""The largest magnitude of a number: beyond it doubles skip integers, and two would share one digest."""


class CanonicalError(ValueError):
    """The value has no single meaning or spelling; the message says which rule it breaks."""


def parse_strict(raw: bytes | str, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> JsonValue:
    """Parse a JSON text under every limit of this module; `CanonicalError` says what was wrong.

    Refused besides bad JSON: more than `max_bytes`, bad UTF-8, a byte order mark, the same key twice in one
    object, NaN and infinities (also `1e400`), and whatever `check_value` refuses.
    """
    try:
        data = raw.encode() if isinstance(raw, str) else raw
        text = data.decode()
    except UnicodeError as error:
        raise CanonicalError("The JSON text is not valid UTF-8.") from error
    if len(data) > max_bytes:
        raise CanonicalError(f"The JSON text has {len(data)} bytes; send at most {max_bytes}.")
    try:
        parsed = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except CanonicalError:
        raise
    except RecursionError as error:
        raise CanonicalError(
            f"The JSON is nested deeper than {max_depth} levels; send it flatter."
        ) from error
    except ValueError as error:
        raise CanonicalError(f"This is not JSON: {error}.") from error
    return check_value(parsed, max_depth=max_depth)


def check_value(value: object, *, max_depth: int = MAX_DEPTH) -> JsonValue:
    """Apply the same limits (but size) to a value that something else parsed, and return it in the one form.

    Whole floats come back as integers and tuples as lists. The result shares no list or object with `value`,
    so what was checked cannot be changed afterwards by whoever still holds the original.
    """
    return _Copy(max_depth).of(value, 0)


def canonical(value: JsonValue) -> bytes:
    """The one spelling of a value: RFC 8785 in UTF-8, after `check_value` with `OWN_DEPTH`."""
    copy = _Copy(OWN_DEPTH)
    checked = copy.of(value, 0)
    if copy.plain:
        return _ENCODER.encode(checked).encode()
    return rfc8785.dumps(checked)


def read_plain(raw: bytes) -> JsonValue:
    """The value of bytes that are plainly its one spelling; `None` where only the thorough way can tell.

    An order of magnitude faster than to parse strictly and spell again, for whoever reads a whole log. What
    it accepts is read to exactly what `parse_strict` reads, with `OWN_DEPTH`, and spelled so by `canonical`.
    """
    if raw.count(b"{") + raw.count(b"[") > OWN_DEPTH or _FRACTION(raw) or _EXPONENT(raw):
        return None
    if not raw.isascii() and _BEYOND_16_BITS(raw):
        return None
    try:
        value = orjson.loads(raw)
        # What is not canonical is spelled otherwise: white space, escapes, order, a key that stands twice.
        return value if orjson.dumps(value, option=_PLAIN) == raw else None
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None


def digest(domain: str, value: JsonValue) -> str:
    """`sha256:` and 64 hex digits over the domain, a zero byte, and the canonical bytes.

    The domain keeps digests of different kinds of things apart, even when the things spell alike.
    """
    return "sha256:" + hashlib.sha256(domain.encode() + b"\0" + canonical(value)).hexdigest()


def text_digest(text: str) -> str:
    """`sha256:` and 64 hex digits over the UTF-8 of a text; this is what `sha256sum` says of it as a file."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


# orjson spells integers, strings and their escapes as RFC 8785 does, but not every fraction; and it sorts
# keys by code points, which differs from RFC 8785 only where a character beyond 16 bits stands in a key.
# The patterns may also find such a thing inside a text; then the thorough way is taken for nothing.
_PLAIN = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
_FRACTION = re.compile(rb"\.[0-9]+(?:[eE][+-]?[0-9]+)?[,\]}]").search
_EXPONENT = re.compile(rb"e[+-]?[0-9]+[,\]}]").search
_BEYOND_16_BITS = re.compile(rb"[\xf0-\xff]").search

# Without fractions and with ASCII keys, the standard library's C encoder spells exactly as RFC 8785 does
# (section 3.2.2.2 strings, 3.2.3 order of keys), five times faster. A property test holds the two together.
_ENCODER = json.JSONEncoder(ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":"))


class _Copy:
    """One walk over a value: checks it, copies it, and notes whether the fast encoder can spell it.

    Every record and every judged call goes through here several times, so the common types are told apart by
    identity and first; whatever is not exactly of one of them takes the long way.
    """

    __slots__ = ("max_depth", "plain")

    def __init__(self, max_depth: int) -> None:
        self.max_depth = max_depth
        self.plain = True

    def of(self, value: object, depth: int) -> JsonValue:
        kind = type(value)
        if kind is str:
            text = cast("str", value)
            return text if text.isascii() else _text(text)
        if kind is int:
            return self._number(cast("int", value))
        if value is None or kind is bool:
            return cast("bool | None", value)
        if depth == self.max_depth and isinstance(value, list | tuple | dict):
            raise CanonicalError(f"The JSON is nested deeper than {self.max_depth} levels; send it flatter.")
        if isinstance(value, dict):
            return self._object(cast("dict[object, object]", value), depth + 1)
        if isinstance(value, list | tuple):
            below = depth + 1
            return [self.of(item, below) for item in cast("list[object]", value)]
        if isinstance(value, str):
            return _text(value)
        if isinstance(value, int | float):
            return self._number(value)
        raise CanonicalError(f"A value of type {kind.__name__} is not JSON.")

    def _object(self, value: dict[object, object], depth: int) -> JsonObject:
        copy: JsonObject = {}
        for key, item in value.items():
            if type(key) is not str or not key.isascii():
                key = self._unusual_key(key)  # noqa: PLW2901 - the same key, checked
            kind = type(item)
            if kind is str and cast("str", item).isascii():
                copy[key] = cast("str", item)
            else:
                copy[key] = self.of(item, depth)
        return copy

    def _number(self, value: float) -> int | float:
        # Written so that NaN, of which every comparison is false, fails it.
        if not -MAX_NUMBER <= value <= MAX_NUMBER:
            raise CanonicalError("A number is not finite or beyond ±(2^53 - 1); send such a number as text.")
        if value == int(value):
            return int(value)
        self.plain = False
        return float(value)

    def _unusual_key(self, key: object) -> str:
        if not isinstance(key, str):
            raise CanonicalError(f"An object's key is of type {type(key).__name__}; keys are text.")
        if not key.isascii():
            self.plain = False
        return _text(key)


def _text(value: str) -> str:
    text = value if type(value) is str else str.__str__(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise CanonicalError("A text holds half of a surrogate pair, which is no character.") from error
    return text


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise CanonicalError(f"The key {twice[:60]!r} stands twice in one object; send it once.")
    return found


def _no_constant(name: str) -> NoReturn:
    raise CanonicalError(f"{name} is not JSON; send a finite number or null.")
