"""The demo as a person meets it: what it promises, what it prints to paste, and how it ends."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from select import select

import pytest

from server.cli import execute
from server.demo.observed import PROMISES
from server.demo.telling import command_in_short
from server.demo.walk import Walk
from tests.foreign.newcomer import COMMAND, ROOT, Newcomer

pytestmark = pytest.mark.slow
LIMIT_S = 90
# Makes the terminal the controlling one, so that a typed Ctrl-C becomes a signal, and goes on as the command.
ON_ITS_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "os.execvp(sys.argv[1], sys.argv[1:])"
)
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def nobody(tmp_path: Path) -> Newcomer:
    """Somebody who has nothing yet."""
    (tmp_path / "tmp").mkdir()
    return Newcomer(tmp_path)


def test_the_demo_observes_every_promise_and_keeps_what_it_is_told_to(nobody: Newcomer) -> None:
    kept = nobody.place / "kept"
    said = nobody.say("demo", "--json", "--keep", kept, by=None)
    assert said.code == 0, said.err
    assert said.err == ""
    shown = said.json
    assert shown["all_hold"] is True
    assert {name for name, one in shown["promises"].items() if one["observed"]} == set(PROMISES)
    changed = shown["facts"]["order_database"]
    assert list(changed) == ["refunds"]
    assert len(changed["refunds"]["new"]) == 1
    assert len({tuple(tools) for tools in shown["facts"]["tools"]}) == 5
    verified = nobody.say("audit", "verify", "--json", "--data", kept / "data", by=None)
    assert (verified.code, verified.json["whole"]) == (0, True)
    again = nobody.say("demo", "--no-stay", "--keep", kept, by=None)
    assert again.code == 2
    assert "exists already; name a new folder with --keep" in again.complaint


def test_the_example_agent_says_in_a_sentence_that_nobody_answers(nobody: Newcomer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}/mcp"
    said = subprocess.run(
        [sys.executable, "-m", "examples.python_agent", url, "run_x"],
        cwd=ROOT,
        env=nobody.environment | {"BAILIWICK_AGENT_KEY": "bwk_x"},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert said.returncode == 1
    assert said.stderr.startswith(f"{url} cannot be used: ")
    assert said.stderr.count("\n") == 1


def test_a_promise_that_does_not_hold_is_named_and_fails_the_demo(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def nobody_approves(walk: Walk, request: str) -> None:
        """A reviewer who has gone home."""

    monkeypatch.setattr(Walk, "_approve", nobody_approves)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert execute(["demo", "--json"]) == 1
    said = capsys.readouterr()
    shown = json.loads(said.out)
    assert shown["all_hold"] is False
    missing = {name for name, one in shown["promises"].items() if not one["observed"]}
    assert {"approved_by_key", "done", "approval_spent", "changed_once"} <= missing
    assert {"published", "same_run", "hidden_in_plan", "approval_required", "audited"}.isdisjoint(missing)
    for name in missing:
        assert f"bailiwick: not observed: {PROMISES[name]}" in said.err


def test_a_taken_port_is_one_sentence_before_the_stage_is_set(nobody: Newcomer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = nobody.say("demo", "--no-stay", "--port", str(port), by=None)
    assert said.code == 3
    assert f"Port {port} on 127.0.0.1 cannot be used" in said.complaint


def test_on_a_terminal_its_lines_work_as_pasted_and_ctrl_c_ends_it(nobody: Newcomer) -> None:
    with terminal(nobody, "demo", "--port", "0") as demo:
        lines = pasted(demo.until("Ctrl-C ends it and removes its files."))
        assert "examples" not in "".join(lines["You, the reviewer"])
        assert_clients_can_read(lines)
        with terminal(nobody, line=lines["You, the reviewer"]) as watch:
            watch.until("Waiting for requests")
            agent = subprocess.Popen(
                ["/bin/sh", "-c", lines["A Python agent, which asks for the refund and waits for you"]],
                cwd=nobody.place,
                env=nobody.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            with agent:
                asked = watch.until("Approve this very call?")
                assert "desk__refund_order on order:o-1002" in asked
                watch.type("y\n")
                watch.until("approved: the agent can make this very call now, once")
                told, _ = agent.communicate(timeout=LIMIT_S)
            assert agent.returncode == 0, told
            assert "done exe_" in told
            assert "the run is done" in told
            watch.process.send_signal(signal.SIGINT)
            assert watch.ended() in (0, 130)
        children = descendants(demo.process.pid)
        assert children, "the demo's server and its order desk"
        demo.type("\x03")
        assert demo.ended() == 0
    assert "Traceback" not in demo.screen + watch.screen
    assert not [child for child in children if alive(child)]
    assert list((nobody.place / "tmp").iterdir()) == []


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGHUP], ids=["SIGTERM", "SIGHUP"])
def test_a_demo_that_is_stopped_on_its_way_leaves_no_process_and_no_file(
    nobody: Newcomer, told: signal.Signals
) -> None:
    with terminal(nobody, "demo", "--port", "0") as demo:
        demo.until("the server listens at")
        children = descendants(demo.process.pid)
        assert children
        for _ in range(3):  # as a closing terminal does: its shell tells its jobs too
            demo.process.send_signal(told)
        assert demo.ended() == 130
    assert "Traceback" not in demo.screen
    assert not [child for child in children if alive(child)]
    assert list((nobody.place / "tmp").iterdir()) == []


def test_what_it_shows_fits_the_terminal_and_it_leaves_no_file(nobody: Newcomer) -> None:
    with terminal(nobody, "demo", "--no-stay", columns=80) as demo:
        assert demo.ended() == 0
    lines = COLOURS.sub("", demo.screen).replace("\r", "").splitlines()
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines if str(ROOT) in line]
    assert list((nobody.place / "tmp").iterdir()) == []


def test_a_command_is_shown_without_what_is_the_same_in_all() -> None:
    files = ["/here/sources/a.md", "/here/sources/b.md"]
    shown = command_in_short(["source", "add", *files, "--data", "/d", "--key", "/k/ada.json"])
    assert shown == ("ada", "source add …/sources/*.md")
    assert command_in_short(["key", "new", "eve", "--to", "/k/eve.json"]) == ("eve", "key new eve")


def pasted(screen: str) -> dict[str, str]:
    """The lines to paste by the title above them."""
    lines = COLOURS.sub("", screen).replace("\r", "").splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith("your turn"))
    found = [at for at in range(start, len(lines) - 1) if lines[at - 1] == "" and lines[at]]
    return {lines[at]: lines[at + 1] for at in found}


def assert_clients_can_read(lines: dict[str, str]) -> None:
    """What the lines hand to Claude Code, VS Code and Cursor is one server with one key, as each wants it."""
    claude = shlex.split(lines["Claude Code"])
    assert claude[:5] == ["claude", "mcp", "add", "--transport", "http"]
    url, bearer = claude[6], claude[8].removeprefix("Authorization: ")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/mcp", url)
    assert re.fullmatch(r"Bearer bwk_[0-9a-z]{26}", bearer)
    code = json.loads(shlex.split(lines["VS Code"])[-1])
    headers = {"Authorization": bearer}
    assert code == {"name": "bailiwick", "type": "http", "url": url, "headers": headers}
    cursor = next(
        word
        for word in shlex.split(lines["Cursor, in a project that has no .cursor/mcp.json yet"])
        if "{" in word
    )
    assert json.loads(cursor) == {"mcpServers": {"bailiwick": {"url": url, "headers": headers}}}
    inspector = shlex.split(lines["MCP Inspector (Node 22)"])
    assert inspector[3:5] == ["--cli", url]
    assert f"Authorization: {bearer}" in inspector


@dataclass(slots=True)
class Terminal:
    """A process on a pseudo-terminal, and everything that its screen ever showed."""

    process: subprocess.Popen[bytes]
    descriptor: int
    screen: str = ""
    _raw: io.BytesIO = field(default_factory=io.BytesIO)

    def type(self, text: str) -> None:
        os.write(self.descriptor, text.encode())

    def until(self, words: str) -> str:
        """Wait for these words; the screen so far."""
        deadline = time.monotonic() + LIMIT_S
        while words not in COLOURS.sub("", self.screen).replace("\r\n", "\n"):
            assert time.monotonic() < deadline, self.screen
            assert self._read(0.2) or self.process.poll() is None, self.screen
        return self.screen

    def ended(self) -> int:
        """Wait for its end; its exit code."""
        deadline = time.monotonic() + LIMIT_S
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.screen
            self._read(0.2)
        while self._read(0.0):
            pass
        return self.process.returncode

    def _read(self, wait_s: float) -> bool:
        if not select([self.descriptor], [], [], wait_s)[0]:
            return False
        try:
            piece = os.read(self.descriptor, 65_536)
        except OSError:  # nobody holds the other end any more
            return False
        self._raw.write(piece)
        self.screen = self._raw.getvalue().decode("utf-8", errors="replace")
        return bool(piece)


@contextmanager
def terminal(
    whose: Newcomer, *words: str, line: str | None = None, columns: int = 100
) -> Generator[Terminal]:
    """A command on a terminal of its own, or a line pasted into a shell on one."""
    ours, theirs = pty.openpty()
    command = ["/bin/sh", "-c", f"exec {line}"] if line else [*COMMAND, *words]
    environment = whose.environment | {
        "TMPDIR": str(whose.place / "tmp"),
        "COLUMNS": str(columns),
        "LINES": "50",
        "TERM": "xterm-256color",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", ON_ITS_TERMINAL, *command],
        cwd=whose.place,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = Terminal(process, ours)
    try:
        yield shown
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(LIMIT_S)
        os.close(ours)


def descendants(pid: int) -> set[int]:
    """The processes below one, at any depth."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            told = stat.read_text("utf-8", errors="replace")
            # pid (name) state parent …, and the name can hold anything
            parents[int(stat.parent.name)] = int(told.rpartition(")")[2].split()[1])
    found: set[int] = set()
    grown = {pid}
    while grown:
        grown = {child for child, parent in parents.items() if parent in grown} - found
        found |= grown
    return found


def alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False
