"""A governed `tools/call` against the same tool served bare, and against a bare proxy to the same upstream.

Each kind of call stands beside the peer that it is compared with: a read and an approved write beside the
proxy, a refused write beside the direct server, because nothing of it goes further. A write is refused twice
before it is approved: the first refusal also makes the request that people judge, the second is a refusal and
its record alone. A second server, whose records are deferred, refuses the same. The two sides of a comparison
take turns within a fraction of a second. Afterwards the journals of the upstreams and the product's ledgers
have to show exactly what was sent: every approved write once, no refused one, and a record of each call.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

from benchmarks.calls import Call, WrongAnswer
from benchmarks.governed import AMOUNT, KINDS, Asked, Governed, Prepared, prepare, served, written_down
from benchmarks.processes import Loader, free_port, loader, server
from benchmarks.registry import Extent
from benchmarks.rounds import Rounds, in_turn
from benchmarks.rows import Row
from benchmarks.upstream import READ, WRITE

Kind = Literal[
    "read", "first refused write", "refused write", "approved write", "refused write with its record deferred"
]
Ours = Literal["ours", "deferred"]
Peer = Literal["direct", "proxy"]
Side = Ours | Peer
Timed = tuple[Kind, int, Side]
"""What a timing belongs to: the kind of call, how many clients at once, and who answered."""

CALLS: Mapping[int, int] = {1: 40, 8: 32}
"""How many clients at once → how many calls of each kind all of them together make in one round."""

TURN = 10
"""How many calls a client makes before the other side has its turn."""

SIDES: Mapping[Kind, tuple[Ours, Peer]] = {
    "read": ("ours", "proxy"),
    "first refused write": ("ours", "direct"),
    "refused write": ("ours", "direct"),
    "approved write": ("ours", "proxy"),
    "refused write with its record deferred": ("deferred", "direct"),
}
"""For each kind of call, which of our servers answers it and which peer it stands beside."""

WRITES: Mapping[Side, int] = {"ours": 1, "deferred": 0, "direct": 3, "proxy": 1}
"""How often each side's upstream is to have written each item: a bare server refuses nothing."""

PEER_NAMES: Mapping[Peer, str] = {
    "direct": "bare server with the tool itself",
    "proxy": "bare pass-through proxy",
}
LIMITS: Mapping[Kind, float] = {"read": 1.6, "refused write": 4.0, "approved write": 2.2}
"""The promised ratios of medians at one client."""


def measure(extent: Extent) -> list[Row]:
    """Every kind of call at every number of clients. One round before the first is not counted."""
    timings: Rounds[Timed] = Rounds()
    with tempfile.TemporaryDirectory(prefix="bailiwick-bench-") as place, ExitStack() as running:
        folder = Path(place)
        prepared: dict[Ours, Prepared] = {
            "ours": prepare(folder / "ours"),
            "deferred": prepare(folder / "deferred"),
        }
        journals: dict[Side, Path] = {side: made.journal for side, made in prepared.items()}
        ports: dict[Peer, int] = {}
        for side in PEER_NAMES:
            journals[side] = folder / f"{side}.journal"
            ports[side] = running.enter_context(peer(side, journals[side], folder))
        load = running.enter_context(loader())
        with (
            served(prepared["ours"], folder / "governed.log") as ours,
            served(prepared["deferred"], folder / "deferred.log", records="deferred") as deferred,
        ):
            rounds = [_Round(number, load, ours, deferred, ports) for number in range(extent.rounds + 1)]
            for one in rounds:
                one.play(Rounds() if one.number == 0 else timings)
        for side, path in journals.items():
            check_journal(side, path, {item: WRITES[side] for one in rounds for item in one.items})
        items = sum(len(one.items) for one in rounds)
        # Of each item there was one read, a write that was refused twice, and the same write approved.
        _check_ledger(
            written_down(prepared["ours"]), dict.fromkeys(KINDS, items) | {"call.refused": items * 2}
        )
        _check_ledger(
            written_down(prepared["deferred"]), {"approval.requested": items, "call.refused": items * 2}
        )
    return _rows(timings)


class _Round:
    """One round: at each number of clients, each kind of call, by us and by its peer."""

    def __init__(
        self, number: int, load: Loader, ours: Governed, deferred: Governed, ports: Mapping[Peer, int]
    ) -> None:
        self.number = number
        self.items: list[str] = []
        self._load = load
        self._governed = ours
        self._deferred = deferred
        self._ports: dict[Side, int] = {**ports, "ours": ours.port, "deferred": deferred.port}

    def play(self, timings: Rounds[Timed]) -> None:
        """Send all calls of this round and keep how long they took."""
        for clients, count in CALLS.items():
            items = [f"r{self.number}-{clients}-{place}" for place in range(count)]
            # A run for each write, as an agent would have it; in its first step it has read its item.
            runs = self._governed.open_runs(self._load, items)
            reads = [self._governed.read(*pair) for pair in zip(runs, items, strict=True)]
            self._compare("read", clients, reads, [bare_read(item) for item in items], timings)
            self._governed.go_on_to_write(self._load, runs)
            writes = [bare_write(item) for item in items]
            refused = [self._governed.refused_write(*pair) for pair in zip(runs, items, strict=True)]
            answers = self._compare("first refused write", clients, refused, writes, timings)
            self._compare("refused write", clients, refused, writes, timings)
            asked = [Asked.in_result(result) for result in answers]
            self._governed.judge(asked, "approve")
            approved = [self._governed.approved_write(*each) for each in zip(runs, items, asked, strict=True)]
            self._compare("approved write", clients, approved, writes, timings)
            self._refuse_deferred(clients, items, writes, timings)
            self.items += items

    def _refuse_deferred(
        self, clients: int, items: Sequence[str], writes: Sequence[Call], timings: Rounds[Timed]
    ) -> None:
        """The same refusals by the server with deferred records, and then a verdict: few may be open."""
        runs = self._deferred.open_runs(self._load, items)
        self._deferred.go_on_to_write(self._load, runs)
        refused = [self._deferred.refused_write(*pair) for pair in zip(runs, items, strict=True)]
        answers = self._load.send(self._deferred.port, [refused]).results
        self._compare("refused write with its record deferred", clients, refused, writes, timings)
        self._deferred.judge([Asked.in_result(result) for result in answers], "deny")

    def _compare(
        self, kind: Kind, clients: int, ours: Sequence[Call], peers: Sequence[Call], timings: Rounds[Timed]
    ) -> list[dict[str, Any]]:
        """Let both sides take turns until all is sent; our results, in the order of `ours`."""
        our_side, peer = SIDES[kind]
        calls: dict[Side, Sequence[Call]] = {our_side: ours, peer: peers}
        spent: dict[Side, list[float]] = {side: [] for side in calls}
        results: list[dict[str, Any]] = []
        for turn, first in enumerate(range(0, len(ours), clients * TURN)):
            for side in in_turn(list(calls), self.number + turn):
                now = calls[side][first : first + clients * TURN]
                each = len(now) // clients
                split = [now[begin : begin + each] for begin in range(0, len(now), each)]
                answered = self._load.send(self._ports[side], split)
                spent[side] += answered.timings_ms
                results += answered.results if side == our_side else []
        for side, timings_ms in spent.items():
            timings.add((kind, clients, side), timings_ms)
        return results


@contextmanager
def peer(side: Peer, journal: Path, folder: Path) -> Generator[int]:
    """A peer in a process of its own; its port."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.peers", side, "--port", str(port), "--journal", str(journal)]
    with server(command, port, folder / f"{side}.log"):
        yield port


def bare_read(item: str) -> Call:
    return Call(READ, {"item": item}, {"structuredContent.item": item, "isError": False})


def bare_write(item: str) -> Call:
    return Call(WRITE, {"item": item, "amount": AMOUNT}, {"structuredContent.item": item, "isError": False})


def check_journal(side: Side, journal: Path, expected: Mapping[str, int]) -> None:
    """Each item was written as often as it should, and nothing else was. Raises WrongAnswer."""
    found = Counter(journal.read_text().splitlines()) if journal.exists() else Counter[str]()
    if found != Counter(expected):
        wrong = next(item for item in found | Counter(expected) if found[item] != expected.get(item, 0))
        told = f"{found[wrong]} times and not {expected.get(wrong, 0)}"
        raise WrongAnswer(f"the upstream of {side} has {wrong} written {told}")


def _check_ledger(found: Mapping[str, int], expected: Mapping[str, int]) -> None:
    """Every call has its record. Raises WrongAnswer."""
    if found != expected:
        raise WrongAnswer(f"the ledger holds {found} and not {expected}")


def _rows(timings: Rounds[Timed]) -> list[Row]:
    rows: list[Row] = []
    for clients in CALLS:
        for kind, (our_side, peer) in SIDES.items():
            for share, word in ((0.5, "p50"), (0.95, "p95")):
                at_once = "" if clients == 1 else f", {clients} clients"
                rows.append(
                    Row(
                        name="governed_call",
                        metric=f"{kind} {word}{at_once}",
                        unit="ms",
                        ours=timings.typical((kind, clients, our_side), share),
                        peer=timings.typical((kind, clients, peer), share),
                        peer_name=PEER_NAMES[peer],
                        limit=LIMITS.get(kind) if (clients, word) == (1, "p50") else None,
                    )
                )
    return rows
