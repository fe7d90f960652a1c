"""A new user with a folder of their own: the real command line and a real server, each a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "server")
PATIENCE_S = 60


@dataclass(frozen=True, slots=True)
class Said:
    """What a command answered: its exit code, and what stood on stdout and stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def line(self) -> str:
        """The one line on stdout of a command that succeeded."""
        assert self.code == 0, self.err
        assert self.out.count("\n") == 1, self.out
        return self.out.strip()

    @property
    def complaint(self) -> str:
        """The one sentence on stderr of a command that failed, and printed nothing else."""
        assert self.code != 0
        assert self.out == ""
        assert "Traceback" not in self.err
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("bailiwick: ")
        assert lines[0].endswith((".", "?"))
        return lines[0].removeprefix("bailiwick: ")


@dataclass(slots=True)
class Server:
    """A running `bailiwick serve`: its process, where it answers, and what it says on stderr."""

    process: subprocess.Popen[str]
    url: str
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text("utf-8")


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Everything lies below `place`: the data folder, the keys, and whatever they bring."""

    place: Path

    @property
    def data(self) -> Path:
        return self.place / "data"

    @property
    def environment(self) -> dict[str, str]:
        """This machine's, without any setting of Bailiwick's but to load no model, and with a home of its own
        for keys.
        """
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BAILIWICK_")}
        return kept | {
            "BAILIWICK_SEMANTIC": "off",
            "XDG_CONFIG_HOME": str(self.place / "config"),
            "BAILIWICK_DATA": str(self.data),
            "PYTHONPATH": str(ROOT),
        }

    def say(self, *words: str | Path, by: str | None = "ada", **environment: str) -> Said:
        """Type a command, as a process of its own in a folder that is not the checkout."""
        before = list(map(str, words))
        at = before.index("--") if "--" in before else len(before)
        before[at:at] = [] if by is None else ["--as", by]
        done = subprocess.run(
            [*COMMAND, *before],
            cwd=self.place,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def settle(self) -> None:
        """Make the folder and its people: ada administers and curates, carol curates, rob reviews."""
        assert self.say("init", "--admin", "ada", by=None).code == 0
        for person, role in (("carol", "curator"), ("rob", "reviewer")):
            key = self.say("key", "new", person, by=None).line
            self.say("person", "add", person, "--role", role, f"--public-key={key}").line  # noqa: B018

    def publish(self, *files: Path) -> list[str]:
        """Bring files in as ada, have carol review them, and publish them; the ids of their versions."""
        added = self.say("source", "add", *files)
        assert added.code == 0, added.err
        versions = added.out.split()
        for words, by in (
            (("submit", *versions), "ada"),
            (("review", *versions, "--accept"), "carol"),
            (("publish", *versions), "carol"),
        ):
            done = self.say("source", *words, by=by)
            assert done.code == 0, done.err
        return versions

    def write_workflow(self, name: str, text: str) -> None:
        (self.data / "workflows" / f"{name}.yaml").write_text(text, "utf-8")

    @contextmanager
    def served(self, *options: str) -> Generator[Server]:
        """A server on a free port for the length of the block; it has to end in order."""
        log_path = self.place / "server.log"
        with (
            log_path.open("w") as log,
            subprocess.Popen(
                [*COMMAND, "serve", "--port", "0", *options],
                cwd=self.place,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            ) as process,
        ):
            try:
                assert process.stdout is not None
                server = Server(process, process.stdout.readline().strip(), log_path)
                assert server.url.startswith("http://127.0.0.1:"), server.said
                yield server
            finally:
                process.terminate()
                process.wait(PATIENCE_S)
        assert process.returncode == 0, server.said
        assert "Traceback" not in server.said
