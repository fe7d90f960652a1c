"""How soon a started server answers, and what importing it costs.

The server is `bailiwick serve` on a folder with the example's corpus, catalogue and workflow, as a person has
it after the first minutes. Where a `torch` would be found, a trap lies instead: a server that imports it at
its start is not measured but reported.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter

from benchmarks.calls import Call, WrongAnswer
from benchmarks.installation import EXAMPLE, enrol_agent, found, publish_example_corpus
from benchmarks.processes import ROOT, Loader, NotStarted, free_port, loader, server
from benchmarks.registry import Extent
from benchmarks.rounds import Rounds, in_turn
from benchmarks.rows import Row
from benchmarks.upstream import READ

START, IMPORTS = "spawn to first answered request", "import of the server"
START_MOST_S, IMPORTS_MOST_S = 2.0, 1.0
PEER_NAMES = {START: "bare server with the tool itself", IMPORTS: "the SDK and uvicorn alone"}

_OURS = "server.serving, server.cli"
_BARE = "mcp.server.lowlevel.server, mcp.client.stdio, uvicorn, uvloop"
_TRAP = """\
import pathlib
pathlib.Path(__file__).with_name("imported").touch()
raise ImportError("torch has no part in the start of a server")
"""


def measure(extent: Extent) -> list[Row]:
    """Both metrics. A start takes a second or two, so there is one for every two rounds asked for."""
    times: Rounds[tuple[str, str]] = Rounds()
    with tempfile.TemporaryDirectory(prefix="bailiwick-bench-") as place, loader() as load:
        folder = Path(place)
        trap = _lay_trap(folder)
        ours = _ours(folder)
        bare = _bare(folder)
        for number in range((extent.rounds + 1) // 2):
            for side, (command, call) in in_turn(list({"ours": ours, "peer": bare}.items()), number):
                started = _start(load, command, call, folder / f"{side}.log", trap)
                times.add((START, side), [started])
            for side, modules in in_turn([("ours", _OURS), ("peer", _BARE)], number):
                times.add((IMPORTS, side), [_import(modules, trap)])
        if (trap / "torch" / "imported").exists():
            raise WrongAnswer("something imported torch; the core must start without it")
    return [
        Row(
            name="startup",
            metric=metric,
            unit="s",
            ours=times.typical((metric, "ours")),
            peer=times.typical((metric, "peer")),
            peer_name=PEER_NAMES[metric],
            most=most,
        )
        for metric, most in ((START, START_MOST_S), (IMPORTS, IMPORTS_MOST_S))
    ]


def _ours(folder: Path) -> tuple[Sequence[str], Call]:
    """The command that serves the example, and a first request of its agent. `{port}` stands for the port."""
    made = found(folder)
    for part in ("catalogue", "workflows"):
        shutil.copytree(EXAMPLE / part, made.data / part, dirs_exist_ok=True)
    publish_example_corpus(made)
    given = {"workflow": "refund", "input": {"order_id": "o-1001", "request": "The lamp came broken."}}
    call = Call("open_run", given, {"structuredContent.code": "done"}, bearer=enrol_agent(made))
    return made.serve_command("{port}"), call


def _bare(folder: Path) -> tuple[Sequence[str], Call]:
    command = [sys.executable, "-m", "benchmarks.peers", "direct", "--port", "{port}"]
    call = Call(READ, {"item": "first"}, {"structuredContent.item": "first"})
    return [*command, "--journal", str(folder / "journal")], call


def _start(load: Loader, command: Sequence[str], call: Call, log: Path, trap: Path) -> float:
    """Seconds from spawning to the whole first answer."""
    port = free_port()
    before = perf_counter()
    with server([word.format(port=port) for word in command], port, log, env=_with(trap)):
        load.send(port, [[call]])
        return perf_counter() - before


def _import(modules: str, trap: Path) -> float:
    """Seconds that importing takes in a fresh interpreter, by its own clock."""
    timed = f"import time; t = time.perf_counter(); import {modules}; print(time.perf_counter() - t)"
    ended = subprocess.run(
        [sys.executable, "-c", timed],
        cwd=ROOT,
        env={**os.environ, **_with(trap)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if ended.returncode != 0:
        raise NotStarted(f"`import {modules}` failed: {ended.stderr.strip()[-500:]}")
    return float(ended.stdout)


def _lay_trap(folder: Path) -> Path:
    """A folder to be searched first, with a `torch` that notes when it is imported."""
    trap = folder / "trap"
    (trap / "torch").mkdir(parents=True)
    (trap / "torch" / "__init__.py").write_text(_TRAP, encoding="utf-8")
    return trap


def _with(trap: Path) -> Mapping[str, str]:
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(trap), os.environ.get("PYTHONPATH")]))}
