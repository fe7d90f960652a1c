"""Is the log what the server once signed? A verification without I/O: lines and heads in, verdict out.

It needs no database and no trust in the server, only its public keys; so anybody who holds an export can run
it. It stops at the first fault and names the entry, because after that nothing more is certain.

Keys that took over later are learned from the log itself, from entries under heads that a trusted key signed.

What it cannot see: a tail cut together with its heads, or a log rewritten and signed anew with a stolen key.
For these, pass heads that somebody else kept.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ledger.entries import StoredEntry, decode
from ledger.heads import HeadError, SignedHead, parse_head, verify_head
from ledger.key_changes import KEY_KINDS, KeyChange, head_key_change
from ledger.merkle import Frontier, Node, leaf_hash

FaultKind = Literal["missing", "moved", "torn", "edited", "index", "head", "cut", "unsigned"]
"""What can be wrong: an entry is absent, in another's place, unreadable, or changed; its searchable columns
differ from it; a head is not to be trusted; a head covers more than there is, or no head covers all of it."""


class Columns(NamedTuple):
    """What the log's table repeats of an entry, to be searchable."""

    at_ms: int
    kind: str
    tenant: str
    principal: str | None
    run: str | None


class LogLine(NamedTuple):
    """One stored entry: number, stored leaf hash, bytes, and its columns where there is a table."""

    seq: int
    leaf: bytes
    raw: bytes
    columns: Columns | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing that is wrong: at which entry, of which kind, and a sentence for people."""

    seq: int
    kind: FaultKind
    sentence: str


@dataclass(frozen=True, slots=True)
class LogReport:
    """How far the log is proven: entries and heads checked, the last good head, the first fault."""

    entries: int
    heads: int
    last_head: SignedHead | None
    fault: Fault | None

    @property
    def whole(self) -> bool:
        """Whether every entry is exactly what was signed."""
        return self.fault is None


Signatures = Literal["every", "newest"]
"""Which heads' signatures are checked. Every root is computed anew either way, and the newest head's
signature covers the whole log; the older ones show besides that every stored head is as it was signed."""


def verify_log(
    lines: Iterable[LogLine],
    heads: Iterable[str],
    head_keys: Mapping[str, bytes],
    *,
    origin: str,
    signatures: Signatures = "every",
    seen: Callable[[StoredEntry], None] | None = None,
    finished: list[tuple[Node, bytes]] | None = None,
) -> LogReport:
    """Check all lines, from entry 1 on, against all heads (notes, in order of size) of the log `origin`.

    `head_keys` maps key ids to 32 raw bytes; they must come from somewhere that a suspect could not write to.
    `seen` is given every entry in order, and `finished` every larger subtree of the tree over them; what
    follows from these counts only if the report is whole.
    """
    state = _Verification(_Heads(heads, head_keys, origin, signatures), finished)
    fault: Fault | None = None
    try:
        state.check_heads()
        for line in lines:
            entry = state.check_line(line)
            if seen is not None:
                seen(entry)
            if state.frontier.size >= state.next_head:
                state.check_heads()
        state.check_end()
    except _Found as found:
        fault = found.fault
    return LogReport(state.frontier.size, state.checked_heads, state.last_head, fault)


class _Found(Exception):
    def __init__(self, seq: int, kind: FaultKind, sentence: str) -> None:
        super().__init__(sentence)
        self.fault = Fault(seq, kind, sentence)


class _Heads:
    """The heads one by one, each with its signature checked when it is first looked at."""

    def __init__(
        self, notes: Iterable[str], keys: Mapping[str, bytes], origin: str, signatures: Signatures
    ) -> None:
        self._notes: Iterator[str] = iter(notes)
        self._keys = dict(keys)
        self._retired: dict[str, int] = {}
        self._origin = origin
        self._every = signatures == "every"
        self._next: SignedHead | None = None
        self._after: str | None = next(self._notes, None)

    def peek(self, first_uncovered: int) -> SignedHead | None:
        if self._next is None:
            note, self._after = self._after, next(self._notes, None)
            if note is None:
                return None
            try:
                self._next = self._checked(note, newest=self._after is None)
            except HeadError as error:
                raise _Found(
                    first_uncovered, "head", f"The head for entry {first_uncovered}: {error}"
                ) from error
        return self._next

    def drop(self) -> None:
        self._next = None

    def learn(self, change: KeyChange) -> None:
        """Take up what an entry under a good head says of the keys that sign heads."""
        self._keys |= change.keys
        self._retired |= change.retired

    def _checked(self, note: str, *, newest: bool) -> SignedHead:
        if self._every or newest:
            return verify_head(note, self._origin, self._keys, self._retired)
        head = parse_head(note)
        if head.origin != self._origin:
            raise HeadError(f"This is a head of the log {head.origin}, not of {self._origin}.")
        return head


class _Verification:
    def __init__(self, heads: _Heads, finished: list[tuple[Node, bytes]] | None) -> None:
        self.frontier = Frontier()
        self._finished = finished
        self.last_head: SignedHead | None = None
        self.checked_heads = 0
        self.next_head = 0
        self._heads = heads
        self._at_ms = 0
        self._key_changes: list[KeyChange] = []

    @property
    def _uncovered(self) -> int:
        """The first entry that no head seen so far covers."""
        return (self.last_head.size if self.last_head else 0) + 1

    def check_line(self, line: LogLine) -> StoredEntry:
        frontier, raw = self.frontier, line.raw
        seq = frontier.size + 1
        if line.seq > seq:
            raise _Found(seq, "missing", f"Entry {seq} is missing: the log goes on with entry {line.seq}.")
        if line.seq < seq:
            raise _Found(seq, "moved", f"Where entry {seq} belongs, entry {line.seq} stands again.")
        leaf = leaf_hash(raw)
        entry = _read(line, signed=leaf == line.leaf)
        if entry.seq != seq:
            raise _Found(seq, "moved", f"Where entry {seq} belongs, entry {entry.seq} stands.")
        if leaf != line.leaf:
            raise _Found(seq, "edited", f"Entry {seq} was changed after it was written.")
        if entry.at_ms < self._at_ms:
            raise _Found(seq, "edited", f"Entry {seq} says that it is older than the entry before it.")
        # Columns are the entry's fields 1 to 5, in their order.
        if line.columns is not None and line.columns != entry[1:6]:
            raise _Found(seq, "index", f"The searchable columns of entry {seq} differ from what it says.")
        self._at_ms = entry.at_ms
        frontier.append(leaf, self._finished)
        if entry.kind in KEY_KINDS:
            self._key_changes.append(head_key_change(entry))
        return entry

    def check_heads(self) -> None:
        """Hold every head of the present size to the present root."""
        size = self.frontier.size
        while (head := self._heads.peek(self._uncovered)) is not None and head.size <= size:
            if head.size < size:
                sentence = f"A head of size {head.size} stands after entry {size}: heads are out of order."
                raise _Found(head.size, "head", sentence)
            if head.root != self.frontier.root():
                raise self._wrong_root(size)
            self._heads.drop()
            self.last_head = head
            self.checked_heads += 1
            while self._key_changes:
                self._heads.learn(self._key_changes.pop(0))
        self.next_head = size + 1 if head is None else head.size

    def check_end(self) -> None:
        self.check_heads()
        size = self.frontier.size
        head = self._heads.peek(self._uncovered)
        if head is not None:
            sentence = (
                f"The log ends with entry {size}, but a signed head covers {head.size}: its tail was cut."
            )
            raise _Found(size + 1, "cut", sentence)
        if size >= self._uncovered:
            first = self._uncovered
            raise _Found(first, "unsigned", f"No signed head covers {_span(first, size)}.")

    def _wrong_root(self, size: int) -> _Found:
        first = min(self._uncovered, size)
        sentence = (
            f"The signed head of size {size} does not fit: {_span(first, size)} changed, with the leaf hash."
        )
        return _Found(first, "edited", sentence)


def _read(line: LogLine, *, signed: bool) -> StoredEntry:
    try:
        return decode(line.raw)
    except ValueError as error:
        how = "was written malformed" if signed else "is torn or was changed"
        raise _Found(line.seq, "torn", f"Entry {line.seq} {how}: {error}") from error


def _span(first: int, last: int) -> str:
    return f"entry {first}" if first == last else f"one or more of the entries {first} to {last}"
