"""The whole demo in order: the stage, a server of its own, the walk, the trace and the audit; and then the
stay.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread
from rich.console import Console

from server.demo.agent import connected
from server.demo.commands import CommandFailed, Commands
from server.demo.observed import PROMISES, Observed
from server.demo.script import DAMAGED, LATE
from server.demo.stage import Stage, set_stage
from server.demo.staying import tell_how_to_connect
from server.demo.telling import Teller
from server.demo.walk import Walk
from server.retrieval import channels_of
from server.settings import load_settings

START_LIMIT_S = 30.0
STOP_LIMIT_S = 45.0
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def show_demo(keep: Path | None, console: Console, *, port: int, stays: bool) -> Observed:
    """Play the demo in the folder `keep`, or in one that is removed afterwards, and give what was observed.
    With `stays` it then waits for a person, until Ctrl-C, or until its terminal is closed.

    Raises `CommandFailed` when a command or the server that it rests on fails, and KeyboardInterrupt when it
    is stopped before its end; in every case its server is ended first.
    """
    observed, played = Observed(), anyio.Event()
    # Held until everything is tidied up: a terminal that closes sends its signal more than once.
    with anyio.open_signal_receiver(*_STOPS) as signals, _place(keep) as root:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_cancel_when_told, signals, tasks.cancel_scope)
            await _play(root, console, observed, played, port=port, stays=stays)
            tasks.cancel_scope.cancel()
    if not played.is_set():
        raise KeyboardInterrupt
    return observed


@contextmanager
def _place(keep: Path | None) -> Generator[Path]:
    """A new folder, which stays where a person named it and is removed otherwise."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="bailiwick-demo-") as root:
            yield Path(root)
    else:
        keep.mkdir(parents=True, mode=0o700)
        yield keep


async def _cancel_when_told(signals: AsyncIterator[signal.Signals], scope: anyio.CancelScope) -> None:
    async for _signal in signals:
        scope.cancel()


async def _play(
    root: Path, console: Console, observed: Observed, played: anyio.Event, *, port: int, stays: bool
) -> None:
    commands, tell = Commands(), Teller(console)
    tell.chapter("the stage")
    stage = await to_thread.run_sync(set_stage, root, commands)
    tell.typed(commands.typed)
    observed.note("published", stage.release == 1, sources=list(stage.sources))
    tell.say(f"published as release {stage.release}: {', '.join(stage.sources)}")
    for channel in channels_of(load_settings()):
        tell.say(f"{channel.name} search: {'used' if channel.used else 'not used'}, {channel.reason}")
    with _server(stage, port) as server:
        url = await _url_of(server, stage.server_log)
        tell.say(f"the server listens at {url}; the order desk is its upstream, over stdio")
        async with connected(url, stage.agent_key) as desk:
            walk = Walk(stage, url, commands, observed, tell, desk, DAMAGED)
            tell.chapter("the run")
            await walk.open("demo-1")
            steps = [*await walk.up_to_execute(), await walk.execute()]
            observed.note("tools_differ", len({tuple(tools) for tools in steps}) == len(steps), tools=steps)
            await to_thread.run_sync(partial(_look_back, stage, walk.run, commands, observed, tell))
            _conclude(observed, tell)
            if stays and observed.all_hold:
                quiet = Teller(Console(quiet=True))
                second = Walk(stage, url, commands, Observed(), quiet, desk, LATE)
                run = await second.open("demo-2")
                await second.up_to_execute()
                tell_how_to_connect(stage, url, run, console)
                played.set()
                await anyio.sleep_forever()
    played.set()


@contextmanager
def _server(stage: Stage, port: int) -> Generator[subprocess.Popen[str]]:
    """`bailiwick serve` as a process of its own, which is ended when the block is left."""
    command = [sys.executable, "-m", "server", "serve", "--data", str(stage.data), "--port", str(port)]
    with (
        stage.server_log.open("wb") as log,
        # In a session of its own: Ctrl-C is for the demo, which then ends the server in order.
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()


async def _url_of(server: subprocess.Popen[str], log: Path) -> str:
    """The URL that the server prints once it listens."""
    assert server.stdout is not None, "a pipe was asked for"
    url = ""
    with anyio.move_on_after(START_LIMIT_S):
        url = (await to_thread.run_sync(server.stdout.readline, abandon_on_cancel=True)).strip()
    if not url.startswith("http"):
        said = (await anyio.Path(log).read_text("utf-8", errors="replace")).strip()
        raise CommandFailed(f"The server did not start. {said.removeprefix('bailiwick: ')[-500:]}")
    return url


def _look_back(stage: Stage, run: str, commands: Commands, observed: Observed, tell: Teller) -> None:
    """The trace and the audit, as anybody would ask for them."""
    robin = stage.acting_as("robin")
    tell.chapter(f"bailiwick run trace {run}")
    tell.verbatim(commands.run("run", "trace", run, *robin), hanging=28)
    kinds = [
        entry["kind"] for entry in json.loads(commands.run("run", "trace", run, "--json", *robin))["entries"]
    ]
    whole = kinds[0] == "run.opened" and kinds[-1] == "run.closed" and kinds.count("execution.begun") == 1
    observed.note("traced", whole and kinds.count("execution.settled") == 1, log_entries=len(kinds))
    tell.chapter("bailiwick audit verify")
    data = ("--data", str(stage.data))
    tell.verbatim(commands.run("audit", "verify", *data))
    observed.note("audited", json.loads(commands.run("audit", "verify", "--json", *data))["whole"] is True)


def _conclude(observed: Observed, tell: Teller) -> None:
    tell.chapter("observed from outside")
    for name, promise in PROMISES.items():
        tell.promise(promise, kept=observed.seen.get(name, False))
