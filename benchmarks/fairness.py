"""One agent's governed reads while another agent floods the server, beside the same agent's reads alone.

The quiet agent reads one thing after another on one connection. The other one keeps as many connections busy
as it can, from a process of its own, so that its load is not throttled by whoever measures. Quiet and flooded
rounds take turns. The same again with the share that agents have switched off shows what the limits do.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Literal

from benchmarks.governed import Governed, prepare
from benchmarks.installation import enrol_agent
from benchmarks.loader import LoadFailed
from benchmarks.processes import Loader, free_port, loader, server
from benchmarks.registry import Extent
from benchmarks.rounds import Rounds
from benchmarks.rows import Row

FLOOD = 64
"""How many connections the flooding agent keeps busy."""

READS = 60
"""How many reads the quiet agent makes in one round."""

Share = Literal["with its share", "without shares"]
SHARES: Mapping[Share, dict[str, str]] = {
    "with its share": {},
    "without shares": {"BAILIWICK_AGENT_SHARE": "1000000"},
}


def measure(extent: Extent) -> list[Row]:
    """The quiet agent's reads alone and during the flood, with the shares of the defaults and without."""
    rows: list[Row] = []
    for share, env in SHARES.items():
        timings: Rounds[bool] = Rounds()
        _measure(env, extent.rounds, timings)
        for name, quantile in (("p50", 0.5), ("p95", 0.95)):
            limit = 2.0 if share == "with its share" and name == "p95" else None
            rows.append(
                Row(
                    "fairness",
                    f"a quiet agent's read {name} during a flood of {FLOOD} connections, {share}",
                    "ms",
                    timings.typical(True, quantile),
                    timings.typical(False, quantile),
                    "the same agent alone",
                    limit=limit,
                )
            )
    return rows


def _measure(env: dict[str, str], rounds: int, timings: Rounds[bool]) -> None:
    with tempfile.TemporaryDirectory(prefix="bailiwick-bench-") as place, loader() as load:
        folder = Path(place)
        prepared = prepare(folder)
        flooding = replace(prepared, agent_key=enrol_agent(prepared.made, "flood-bot"))
        port = free_port()
        with server(prepared.made.serve_command(port), port, folder / "governed.log", env):
            quiet, loud = Governed(prepared, port), Governed(flooding, port)
            (run,) = quiet.open_runs(load, ["quiet"])
            (loud_run,) = loud.open_runs(load, ["loud"])
            reads = [quiet.read(run, "quiet")] * READS
            load.send(port, [reads])
            for _ in range(rounds):
                timings.add(False, load.send(port, [reads]).timings_ms)
                with _flood(loud, loud_run):
                    timings.add(True, load.send(port, [reads]).timings_ms)


@contextmanager
def _flood(loud: Governed, run: str) -> Generator[None]:
    """Let the loud agent flood the server for the length of the block. Raises LoadFailed if it could not."""
    stop, under_way, trouble = Event(), Event(), list[Exception]()

    def flood(load: Loader) -> None:
        try:
            while not stop.is_set():
                load.send(loud.port, [[loud.read(run, "loud")]] * FLOOD)
                under_way.set()
        except Exception as error:  # noqa: BLE001 - raised again in the measuring thread
            trouble.append(error)
            under_way.set()

    with loader() as load:
        thread = Thread(target=flood, args=(load,))
        thread.start()
        try:
            under_way.wait(30)
            yield
        finally:
            stop.set()
            thread.join()
    if trouble:
        raise LoadFailed(f"the flood ended: {trouble[0]}")
