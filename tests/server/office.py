"""An office for tests of the command line: a data folder with people, and commands as a person types them."""

from __future__ import annotations

import io
import json
import logging
import os
import shutil
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from examples.refund_desk import seed
from server.cli import execute
from server.data_folder import DataFolder, open_folder
from server.serving import serving
from server.settings import load_settings
from tool_scopes.house import House

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "refund_desk"


@dataclass(frozen=True, slots=True)
class Said:
    """What a command answered: its exit code, and what stood on stdout and stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Stdout as JSON."""
        return json.loads(self.out)

    @property
    def id(self) -> str:
        """The one id on stdout."""
        assert self.code == 0, self.err
        return self.out.strip()


def say(*arguments: str | Path) -> Said:
    """Run one command line in this process, as the entry point does."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []  # the command sets up its own logging, and must not close pytest's
    out, err = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = execute([str(argument) for argument in arguments])
    finally:
        root.handlers = handlers
        root.setLevel(level)
    return Said(code, out.getvalue(), err.getvalue())


@dataclass(frozen=True, slots=True)
class Office:
    """A data folder: ada is its admin, carol curates and reviews, dave reviews, the agent bot is ada's."""

    root: Path
    bot_key: str

    @property
    def folder(self) -> DataFolder:
        """The folder, opened."""
        return open_folder(self.root)

    def say(self, *arguments: str | Path, by: str = "ada") -> Said:
        """Run a command on this folder as one of its people."""
        return say(*arguments, *([] if by == "" else ["--as", by]))

    def bring_the_desk(self) -> None:
        """Put the example order desk with its catalogue and workflow into the folder."""
        seed.seed(self.root / "refund_desk.db")
        shutil.copy(EXAMPLE / "catalogue" / "desk.yaml", self.folder.catalogue_dir)
        shutil.copy(EXAMPLE / "workflows" / "refund.yaml", self.folder.workflows_dir)

    @contextmanager
    def served(self) -> Generator[tuple[str, House]]:
        """A server that owns the folder, in a thread of this process: its URL and its house."""
        settings = load_settings(self.folder, host="127.0.0.1", port=0)
        ready, stop, found = threading.Event(), threading.Event(), list[tuple[str, House]]()
        trouble: list[BaseException] = []

        async def serve() -> None:
            async with serving(self.folder, settings) as at:
                found.append(at)
                ready.set()
                await anyio.to_thread.run_sync(stop.wait)

        def run() -> None:
            try:
                anyio.run(serve)
            except BaseException as error:  # noqa: BLE001 - shown in the test's own thread
                trouble.append(error)
            finally:
                ready.set()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            assert ready.wait(60)
            assert not trouble, trouble
            yield found[0]
        finally:
            stop.set()
            thread.join(60)
        assert not trouble, trouble


def found_office(place: Path) -> Office:
    """Make the office below `place`; the keys of its people go to the configuration of the environment."""
    root = place / "data"
    made = say("init", "--data", root, "--admin", "ada")
    assert made.code == 0, made.err
    for person, roles in (("carol", ("curator", "reviewer")), ("dave", ("reviewer",))):
        key = say("key", "new", person, "--data", root).id
        options = [word for role in roles for word in ("--role", role)]
        say("person", "add", person, f"--public-key={key}", *options, "--data", root, "--as", "ada").id  # noqa: B018
    bot_key = say("agent", "add", "bot", "--data", root, "--as", "ada").id
    return Office(root, bot_key)


def clean_environment(patch: pytest.MonkeyPatch, config: Path) -> None:
    """Only what a test says is set: no setting of the machine, no model, and an own folder for keys."""
    for name in [name for name in os.environ if name.startswith("BAILIWICK_")]:
        if not name.startswith("BAILIWICK_TEST"):
            patch.delenv(name)
    patch.setenv("BAILIWICK_SEMANTIC", "off")
    patch.setenv("XDG_CONFIG_HOME", str(config))
    patch.setenv("XDG_DATA_HOME", str(config / "nowhere"))


COMMAND = (sys.executable, "-m", "server")
"""The command line as a process of its own, to be run in the checkout."""
