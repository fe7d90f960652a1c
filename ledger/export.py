"""The log as a file of JSON Lines that can be kept, sent and verified without the database.

The first line names the log and its public keys; then come all entries in order, then all heads. An entry is
written as JSON, readable with any tool: its bytes are the canonical spelling of that JSON. Only an entry that
is damaged already is written as base64, so that an export hides no damage.

The keys in the file are only what the file says. To trust it, compare them with keys you have from elsewhere.
"""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ledger.audit import stored_heads, stored_lines
from ledger.canonical import OWN_DEPTH, CanonicalError, JsonObject, JsonValue, canonical, parse_strict
from ledger.entries import decode
from ledger.transaction import Reading
from ledger.verify import LogLine

FORMAT = "bailiwick-log-1"
"""What the first line of an export calls its form."""


class ExportError(ValueError):
    """A file is not an export of a log; the message names the line."""


@dataclass(frozen=True, slots=True)
class ExportedLog:
    """An export in memory: give `lines`, `heads`, `origin` and keys that you trust to `verify_log`."""

    origin: str
    head_keys: dict[str, bytes]
    lines: tuple[LogLine, ...]
    heads: tuple[str, ...]


def export_log(reading: Reading, head_keys: Mapping[str, bytes], *, origin: str) -> Iterator[str]:
    """The lines of an export, each with its newline, from one snapshot."""
    keys: JsonObject = {kid: base64.b64encode(key).decode() for kid, key in head_keys.items()}
    yield _json({"format": FORMAT, "origin": origin, "head_keys": keys})
    for line in stored_lines(reading):
        yield _json({"seq": line.seq, "leaf": line.leaf.hex(), **_content(line.raw)})
    for note in stored_heads(reading):
        yield _json({"head": note})


def read_export(lines: Iterable[str]) -> ExportedLog:
    """Read an export back. This verifies nothing: what is wrong with the log comes out of `verify_log`."""
    entries: list[LogLine] = []
    heads: list[str] = []
    origin, head_keys = "", dict[str, bytes]()
    for number, text in enumerate(lines, start=1):
        try:
            match parse_strict(text, max_bytes=len(text) * 4, max_depth=OWN_DEPTH + 1):
                case {"format": "bailiwick-log-1", "origin": str(name), "head_keys": dict(keys)} if (
                    number == 1
                ):
                    origin, head_keys = name, {kid: _unb64(key) for kid, key in keys.items()}
                case {"seq": int(seq), "leaf": str(leaf), "entry": dict(entry)} if number > 1:
                    entries.append(LogLine(seq, bytes.fromhex(leaf), canonical(entry)))
                case {"seq": int(seq), "leaf": str(leaf), "damaged": str(raw)} if number > 1:
                    entries.append(LogLine(seq, bytes.fromhex(leaf), _unb64(raw)))
                case {"head": str(note)} if number > 1:
                    heads.append(note)
                case _:
                    raise CanonicalError("This is no line of this form.")
        except ValueError as error:
            raise ExportError(
                f"Line {number} does not belong into an export of a log; export it again."
            ) from error
    if not origin:
        raise ExportError("The file is empty; export the log again.")
    return ExportedLog(origin, head_keys, tuple(entries), tuple(heads))


def _content(raw: bytes) -> JsonObject:
    try:
        decode(raw)
    except ValueError:
        return {"damaged": base64.b64encode(raw).decode()}
    return {"entry": json.loads(raw)}


def _json(value: JsonObject) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


def _unb64(value: JsonValue) -> bytes:
    if not isinstance(value, str):
        raise CanonicalError("Bytes are written as base64 text.")
    return base64.b64decode(value, validate=True)
