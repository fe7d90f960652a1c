"""The whole demo in order: the stage, a server of its own, the walk, the trace and the audit; and then the
stay.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from anyio import to_thread
from rich.console import Console

from context_store.search import retrieved_with
from server.demo.agent import connected
from server.demo.commands import CommandFailed, Commands
from server.demo.observed import PROMISES, Observed
from server.demo.stage import Stage, set_stage
from server.demo.staying import stay
from server.demo.telling import Teller
from server.demo.walk import Walk

START_LIMIT_S = 20.0
STOP_LIMIT_S = 45.0


async def show_demo(root: Path, console: Console, *, port: int, stays: bool) -> Observed:
    """Play the demo under `root` and give what was observed. With `stays` it then waits for a person, until
    Ctrl-C.

    Raises `CommandFailed` when a command or the server that it rests on fails.
    """
    commands, observed, tell = Commands(), Observed(), Teller(console)
    tell.chapter("the stage")
    stage = await to_thread.run_sync(set_stage, root, commands)
    for line in commands.typed:
        tell.verbatim(line.replace(str(root), "."))
    observed.note("published", stage.release == 1, sources=list(stage.sources))
    tell.say(f"published as release {stage.release}: {', '.join(stage.sources)}")
    tell.say(f"search runs on: {json.dumps(retrieved_with())}")
    with _server(stage, port) as url:
        tell.say(f"the server listens at {url}; the order desk is its upstream, over stdio")
        async with connected(url, stage.agent_key) as desk:
            walk = Walk(stage, url, commands, observed, tell, desk)
            tell.chapter("the run")
            await walk.open("demo-1")
            steps = [*await walk.up_to_execute(), await walk.execute()]
            observed.note("tools_differ", len({tuple(tools) for tools in steps}) == len(steps), tools=steps)
            await to_thread.run_sync(partial(_look_back, stage, walk.run, commands, observed, tell))
            _conclude(observed, tell)
            if stays and observed.all_hold:
                quiet = Walk(stage, url, commands, Observed(), Teller(Console(quiet=True)), desk)
                await stay(quiet, console)
    return observed


@contextmanager
def _server(stage: Stage, port: int) -> Generator[str]:
    """`bailiwick serve` as a process of its own, which is ended when the block is left. Gives its MCP URL."""
    command = [sys.executable, "-m", "server", "serve", "--data", str(stage.data), "--port", str(port)]
    log_path = stage.data.parent / "server.log"
    with log_path.open("wb") as log:
        # In a session of its own: Ctrl-C is for the demo, which then ends the server in order.
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
        )
        try:
            assert process.stdout is not None, "a pipe was asked for"
            started = time.monotonic()
            url = process.stdout.readline().strip()
            if not url.startswith("http") or time.monotonic() - started > START_LIMIT_S:
                raise CommandFailed(f"The server did not start: {log_path.read_text('utf-8').strip()[-500:]}")
            yield url
        finally:
            process.terminate()
            try:
                process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _look_back(stage: Stage, run: str, commands: Commands, observed: Observed, tell: Teller) -> None:
    """The trace and the audit, as anybody would ask for them."""
    robin = stage.acting_as("robin")
    tell.chapter(f"bailiwick run trace {run}")
    tell.verbatim(commands.run("run", "trace", run, *robin))
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
    tell.chapter("observed")
    for name, promise in PROMISES.items():
        tell.answer(
            promise, "yes" if observed.seen.get(name) else "NO", expected=observed.seen.get(name, False)
        )
