"""The log as a file of JSON Lines that can be kept, sent and verified without the database.

The first line names the log and its public keys; then come all entries in order, then all heads. An entry is
written as JSON, readable with any tool: its bytes are the canonical spelling of that JSON. Only an entry that
is damaged already is written as base64, so that an export hides no damage. A file that went through a tool
which spells JSON otherwise still verifies.

The keys in the file are only what the file says. To trust it, compare them with keys you have from elsewhere.
"""

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ledger.audit import stored_heads, stored_lines
from ledger.canonical import OWN_DEPTH, CanonicalError, JsonObject, JsonValue, canonical, parse_strict
from ledger.entries import StoredEntry, decode
from ledger.transaction import Reading
from ledger.verify import LogLine

FORMAT = "bailiwick-log-1"
"""What the first line of an export calls its form."""


class ExportError(ValueError):
    """A file is not an export of a log; the message names the line."""


@dataclass(frozen=True, slots=True)
class ExportedLog:
    """An export: give `lines`, `heads`, `origin` and keys that you trust to `verify_log`."""

    origin: str
    head_keys: dict[str, bytes]
    lines: Iterable[LogLine]
    heads: tuple[str, ...]


Shape = Callable[[StoredEntry], JsonObject]
"""What else the line of an entry says, for programs that read it: see `server.ocsf`."""


def export_log(
    reading: Reading, head_keys: Mapping[str, bytes], *, origin: str, shape: Shape | None = None
) -> Iterator[str]:
    """The lines of an export, each with its newline, from one snapshot.

    With a `shape`, an entry's line is what that gives, and the entry itself stands below `unmapped`.
    """
    keys: JsonObject = {kid: base64.b64encode(key).decode() for kid, key in head_keys.items()}
    yield _json({"format": FORMAT, "origin": origin, "head_keys": keys})
    for line in stored_lines(reading):
        yield _entry_line(line, shape)
    for note in stored_heads(reading):
        yield _json({"head": note})


def read_export(lines: Iterable[str]) -> ExportedLog:
    """Read an export into memory. This verifies nothing: what is wrong comes out of `verify_log`."""
    found = _Sorted()
    entries = list(found.entries(lines))
    return ExportedLog(found.origin, found.head_keys, entries, tuple(found.heads))


def open_export(path: Path) -> ExportedLog:
    """The same for a file of any length: its heads are read now, its lines again and one by one."""
    found = _Sorted()
    with path.open(encoding="utf-8") as lines:
        for _ in found.entries(lines):
            pass
    return ExportedLog(found.origin, found.head_keys, _Lines(path), tuple(found.heads))


@dataclass(frozen=True, slots=True)
class _Lines:
    """The entries of a file, read anew each time that somebody goes through them."""

    path: Path

    def __iter__(self) -> Iterator[LogLine]:
        with self.path.open(encoding="utf-8") as lines:
            yield from _Sorted().entries(lines)


@dataclass(slots=True)
class _Sorted:
    """What the lines of a file are: gives the entries, and keeps the rest."""

    origin: str = ""
    head_keys: dict[str, bytes] = field(default_factory=dict[str, bytes])
    heads: list[str] = field(default_factory=list[str])

    def entries(self, lines: Iterable[str]) -> Iterator[LogLine]:
        for number, text in enumerate(lines, start=1):
            # As this version writes it, an entry needs no parsing: its bytes are cut out, and judged later.
            plain = _PLAIN(text) if number > 1 else None
            if plain is not None:
                yield LogLine(int(plain[1]), bytes.fromhex(plain[2]), plain[3].encode())
                continue
            try:
                line = self._parsed(text, first=number == 1)
            except ValueError as error:
                raise ExportError(
                    f"Line {number} does not belong into an export of a log; export it again."
                ) from error
            if line is not None:
                yield line
        if not self.origin:
            raise ExportError("The file is empty; export the log again.")

    def _parsed(self, text: str, *, first: bool) -> LogLine | None:
        value = parse_strict(text, max_bytes=len(text) * 4, max_depth=OWN_DEPTH + 2)
        if isinstance(value, dict) and isinstance(value.get("unmapped"), dict):
            value = value["unmapped"]
        match value:
            case {"format": "bailiwick-log-1", "origin": str(name), "head_keys": dict(keys)} if first:
                self.origin, self.head_keys = name, {kid: _unb64(key) for kid, key in keys.items()}
                return None
            case {"seq": int(seq), "leaf": str(leaf), "entry": dict(entry)} if not first:
                return LogLine(seq, bytes.fromhex(leaf), canonical(entry))
            case {"seq": int(seq), "leaf": str(leaf), "damaged": str(raw)} if not first:
                return LogLine(seq, bytes.fromhex(leaf), _unb64(raw))
            case {"head": str(note)} if not first:
                self.heads.append(note)
                return None
            case _:
                raise CanonicalError("This is no line of this form.")


_PLAIN = re.compile(
    r'\{"seq":([0-9]{1,18}),"leaf":"([0-9a-f]{64})","entry":(\{.+\})\}\n?', re.ASCII
).fullmatch


def _entry_line(line: LogLine, shape: Shape | None) -> str:
    start = f'{{"seq":{line.seq},"leaf":"{line.leaf.hex()}",'
    try:
        entry = decode(line.raw)
    except ValueError:
        return f'{start}"damaged":"{base64.b64encode(line.raw).decode()}"}}\n'
    own = f'{start}"entry":{line.raw.decode()}}}'
    return f"{own}\n" if shape is None else f'{_json(shape(entry))[:-2]},"unmapped":{own}}}\n'


def _json(value: JsonObject) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


def _unb64(value: JsonValue) -> bytes:
    if not isinstance(value, str):
        raise CanonicalError("Bytes are written as base64 text.")
    return base64.b64decode(value, validate=True)
