"""Memory over many calls: what a server holds after a tenth of them, and what it holds at the end.

Eight clients list, read and are refused, again and again, in eight runs. The bare proxy in front of the same
upstream answers as many reads in the same run and shows what the SDK and Python themselves keep.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.calls import Call
from benchmarks.governed import Governed, prepare
from benchmarks.governed_call import bare_read
from benchmarks.processes import Loader, free_port, loader, resident_mib, server
from benchmarks.registry import Extent
from benchmarks.rows import Row

CLIENTS = 8
CALLS_OF_A_ROUND = 1_000
GROWTH = 1.05
"""What was promised: the memory at the end over that after a tenth of the calls."""


def measure(extent: Extent) -> list[Row]:
    """A thousand calls for each round."""
    rounds = max(2, extent.rounds)
    with tempfile.TemporaryDirectory(prefix="bailiwick-bench-") as place, ExitStack() as running:
        folder = Path(place)
        prepared, load = prepare(folder / "ours"), running.enter_context(loader())
        port, bare_port = free_port(), free_port()
        ours = running.enter_context(server(prepared.made.serve_command(port), port, folder / "ours.log"))
        command = [sys.executable, "-m", "benchmarks.peers", "proxy", "--port", str(bare_port)]
        journal = ["--journal", str(folder / "proxy.journal")]
        bare = running.enter_context(server([*command, *journal], bare_port, folder / "proxy.log"))
        calls = _calls(Governed(prepared, port), load)
        reads = [[bare_read(f"s-{client}")] * (CALLS_OF_A_ROUND // CLIENTS) for client in range(CLIENTS)]
        held: list[tuple[float, float]] = []
        for _ in range(rounds):
            load.send(port, calls)
            load.send(bare_port, reads)
            held.append((resident_mib(ours), resident_mib(bare)))
    (first, bare_first), (last, bare_last) = held[max(0, rounds // 10 - 1)], held[-1]
    told = f"after {rounds * CALLS_OF_A_ROUND} calls"
    return [
        _row(f"memory {told}", last, first, "itself after a tenth of them", limit=GROWTH),
        _row(f"memory {told} beside the proxy's", last, bare_last, "bare pass-through proxy"),
        _row(f"memory of the proxy {told}", bare_last, bare_first, "itself after a tenth of them"),
    ]


def _calls(governed: Governed, load: Loader) -> list[list[Call]]:
    """What each client sends in a round: lists and reads in a run at its first step, refusals in another."""
    reading = [f"s-{client}" for client in range(CLIENTS)]
    writing = [f"w-{client}" for client in range(CLIENTS)]
    read_runs, write_runs = governed.open_runs(load, reading), governed.open_runs(load, writing)
    governed.go_on_to_write(load, write_runs)
    calls: list[list[Call]] = []
    for client in range(CLIENTS):
        read = governed.read(read_runs[client], reading[client])
        refused = governed.refused_write(write_runs[client], writing[client])
        turn = [governed.step_list(), read, read, read, refused]
        calls.append(turn * (CALLS_OF_A_ROUND // CLIENTS // len(turn)))
    return calls


def _row(metric: str, ours: float, peer: float, peer_name: str, **promised: Any) -> Row:
    return Row("soak", metric, "MiB", ours, peer, peer_name, **promised)
