"""Governed calls and step lists under k6, at 1, 8 and 64 clients, beside the bare server and the bare proxy.

A step list, a read, a write that is refused (its request exists already) and an approved write, each against
both peers in the same round. What every upstream wrote has to be what was sent, once each.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

from benchmarks.calls import LIST, Call
from benchmarks.governed import Asked, Governed, prepare, served
from benchmarks.governed_call import PEER_NAMES, Side, bare_read, bare_write, check_journal, peer
from benchmarks.k6 import run_k6
from benchmarks.processes import Loader, loader
from benchmarks.registry import Extent
from benchmarks.rounds import Rounds, in_turn
from benchmarks.rows import Row

Kind = Literal["step list", "read", "refused write", "approved write"]
KINDS: tuple[Kind, ...] = ("step list", "read", "refused write", "approved write")

CALLS: Mapping[int, int] = {1: 24, 8: 5, 64: 1}
"""How many clients at once → how many writes each of them makes in a round; each in a run of its own."""

REPEATS = 4
"""How often a client sends its lists, reads and refused writes: they can be sent again."""

ROUNDS_ASKED_FOR_EACH = 6
"""A round starts k6 three dozen times, so there is one for every six rounds asked for."""


def measure(extent: Extent) -> list[Row]:
    """Every kind of call at every number of clients. One round before the first is not counted."""
    timings: Rounds[tuple[Kind, int, Side, str]] = Rounds()
    rounds = max(1, extent.rounds // ROUNDS_ASKED_FOR_EACH)
    with tempfile.TemporaryDirectory(prefix="bailiwick-bench-") as place, ExitStack() as running:
        folder = Path(place)
        prepared = prepare(folder / "ours")
        journals: dict[Side, Path] = {"ours": prepared.journal}
        ports: dict[Side, int] = {}
        for side in PEER_NAMES:
            journals[side] = folder / f"{side}.journal"
            ports[side] = running.enter_context(peer(side, journals[side], folder))
        load = running.enter_context(loader())
        with served(prepared, folder / "governed.log") as governed:
            ports["ours"] = governed.port
            player = _Player(load, governed, ports, folder)
            for number in range(rounds + 1):
                player.play(number, Rounds() if number == 0 else timings)
        # A bare peer refuses nothing: every write that we refused was a write there.
        for side, path in journals.items():
            times = 1 if side == "ours" else REPEATS + 1
            check_journal(side, path, dict.fromkeys(player.items, times))
    return _rows(timings)


class _Player:
    """Plays rounds; knows what was written."""

    def __init__(self, load: Loader, governed: Governed, ports: Mapping[Side, int], place: Path) -> None:
        self.items: list[str] = []
        self._load, self._governed, self._ports, self._place = load, governed, ports, place
        self._numbers = itertools.count(1)

    def play(self, number: int, timings: Rounds[tuple[Kind, int, Side, str]]) -> None:
        """One round: at each number of clients, each kind of call, by us and by both peers."""
        governed = self._governed
        for clients, each in CALLS.items():
            items = [f"l{number}-{clients}-{place}" for place in range(clients * each)]
            runs = governed.open_runs(self._load, items)
            pairs = list(zip(runs, items, strict=True))
            reads = [governed.read(*pair) for pair in pairs]
            self._compare("read", clients, reads, [bare_read(item) for item in items], timings)
            governed.go_on_to_write(self._load, runs)
            refused = [governed.refused_write(*pair) for pair in pairs]
            asked = [Asked.in_result(one) for one in self._load.send(governed.port, [refused]).results]
            lists = [governed.step_list()] * len(items)
            self._compare("step list", clients, lists, [_bare_list()] * len(items), timings)
            writes = [bare_write(item) for item in items]
            self._compare("refused write", clients, refused, writes, timings)
            governed.judge(asked, "approve")
            approved = [governed.approved_write(*pair, one) for pair, one in zip(pairs, asked, strict=True)]
            self._compare("approved write", clients, approved, writes, timings, repeats=1)
            self.items += items

    def _compare(
        self,
        kind: Kind,
        clients: int,
        ours: Sequence[Call],
        peers: Sequence[Call],
        timings: Rounds[tuple[Kind, int, Side, str]],
        repeats: int | None = None,
    ) -> None:
        repeats = REPEATS if repeats is None else repeats
        for side in in_turn(list(self._ports), len(self.items)):
            calls = ours if side == "ours" else peers
            each = len(calls) // clients
            split = [list(calls[begin : begin + each]) * repeats for begin in range(0, len(calls), each)]
            took = run_k6(self._ports[side], split, self._place, self._numbers)
            timings.add((kind, clients, side, "p50"), [took.p50])
            timings.add((kind, clients, side, "p95"), [took.p95])


def _bare_list() -> Call:
    return Call("", {}, {"resultType": "complete"}, method=LIST)


def _rows(timings: Rounds[tuple[Kind, int, Side, str]]) -> list[Row]:
    return [
        Row(
            name="load",
            metric=f"{kind} {word}, {clients} client{'s' if clients > 1 else ''}",
            unit="ms",
            ours=timings.typical((kind, clients, "ours", word)),
            peer=timings.typical((kind, clients, side, word)),
            peer_name=PEER_NAMES[side],
        )
        for clients in CALLS
        for kind in KINDS
        for side in PEER_NAMES
        for word in ("p50", "p95")
    ]
