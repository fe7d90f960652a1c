"""What a log entry says, and its exact bytes.

An entry on disk is canonical JSON of `{"v", "seq", "at", "kind", "tenant", "principal", "run", "rests_on",
"body"}`; these bytes are the leaf of the Merkle tree. The writer learns number and time of an entry only
inside its transaction, so all the rest is checked and spelled beforehand, in the caller's thread: a bad entry
can only fail its own caller.
"""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from ledger.canonical import (
    OWN_DEPTH,
    CanonicalError,
    JsonObject,
    JsonValue,
    canonical,
    parse_strict,
    read_plain,
)
from ledger.clock import parse_rfc3339

ENTRY_VERSION = 1
"""The `v` of the entries that are written today."""

WHOLE_FOLDER = "-"
"""The tenant of an entry that concerns no single tenant, such as `folder.created`; no tenant has this id."""

_KIND = re.compile(r"[a-z][a-z_]*\.[a-z][a-z_]*")
_MAX_NAME = 512
_FIELDS = frozenset({"v", "seq", "at", "kind", "tenant", "principal", "run", "rests_on", "body"})


class RestsOn(NamedTuple):
    """One edge: `dependent` stands in `relation` to `foundation`, so when the foundation falls, look at it.

    Example: `("bnd_…", "quotes", "policy-14@3:120-188")`.
    """

    dependent: str
    relation: str
    foundation: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened, before it has a number. `ValueError` at once if it cannot be logged.

    `kind` is `noun.verb`; `tenant` is its id or `WHOLE_FOLDER`; `principal` is who did it, `run` where.
    """

    kind: str
    tenant: str
    body: JsonObject
    principal: str | None = None
    run: str | None = None
    rests_on: tuple[RestsOn, ...] = ()
    _parts: tuple[bytes, bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the entry and spell everything but its number and time."""
        if _KIND.fullmatch(self.kind) is None:
            raise ValueError(f"{self.kind!r} is no kind of log entry; write it as noun.verb.")
        for name in (self.tenant, self.principal, self.run):
            _check_name(name)
        for edge in self.rests_on:
            for name in edge:
                _check_name(name)
        # Canonical JSON sorts keys: at, body, kind, principal, rests_on, run | seq | tenant, v.
        before: JsonObject = {
            "body": self.body,
            "kind": self.kind,
            "principal": self.principal,
            "rests_on": [list(edge) for edge in self.rests_on],
            "run": self.run,
        }
        after: JsonObject = {"tenant": self.tenant, "v": ENTRY_VERSION}
        object.__setattr__(self, "_parts", (canonical(before)[1:-1], canonical(after)[1:]))

    def encode(self, seq: int, at: str) -> bytes:
        """The entry's bytes as number `seq` at the RFC 3339 time `at`: the leaf of the tree."""
        before, after = self._parts
        return b'{"at":"%b",%b,"seq":%d,%b' % (at.encode(), before, seq, after)


class StoredEntry(NamedTuple):
    """An entry as the log holds it: number (from 1, no gaps), time in milliseconds, and what happened.

    A tuple, because whoever verifies a log makes millions of them.
    """

    seq: int
    at_ms: int
    kind: str
    tenant: str
    principal: str | None
    run: str | None
    body: JsonObject
    rests_on: tuple[RestsOn, ...]


def decode(raw: bytes) -> StoredEntry:
    """Read an entry's bytes back; `ValueError` unless they are exactly what `Entry.encode` writes."""
    value = read_plain(raw)
    if value is None:
        value = parse_strict(raw, max_bytes=len(raw), max_depth=OWN_DEPTH)
        if canonical(value) != raw:
            raise CanonicalError("The entry is not spelled canonically.")
    if not isinstance(value, dict) or value.keys() != _FIELDS or value["v"] != ENTRY_VERSION:
        raise CanonicalError(f"This is not a log entry of version {ENTRY_VERSION}.")
    seq, at, kind, tenant = value["seq"], value["at"], value["kind"], value["tenant"]
    principal, run, edges, body = value["principal"], value["run"], value["rests_on"], value["body"]
    if not (
        type(seq) is int
        and isinstance(at, str)
        and isinstance(kind, str)
        and isinstance(tenant, str)
        and (principal is None or isinstance(principal, str))
        and (run is None or isinstance(run, str))
        and isinstance(edges, list)
        and isinstance(body, dict)
    ):
        raise CanonicalError("A field of the log entry has the wrong type.")
    rests_on = tuple(_edge(edge) for edge in edges) if edges else ()
    return StoredEntry(seq, parse_rfc3339(at), kind, tenant, principal, run, body, rests_on)


def _edge(value: JsonValue) -> RestsOn:
    if isinstance(value, list) and len(value) == 3:
        dependent, relation, foundation = value
        if isinstance(dependent, str) and isinstance(relation, str) and isinstance(foundation, str):
            return RestsOn(dependent, relation, foundation)
    raise CanonicalError("An edge of the log entry is not three texts.")


def _check_name(name: str | None) -> None:
    if name is not None and not (0 < len(name) <= _MAX_NAME and name.isprintable()):
        raise ValueError(
            f"{name[:60]!r} cannot stand in a log entry: names are 1 to {_MAX_NAME} printable characters."
        )
