"""A data folder made for one measurement, through the command line as a person would make it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import ROOT, NotStarted

BAILIWICK = (sys.executable, "-c", "from server.cli import main; main()")
"""The `bailiwick` of this checkout."""

TENANT = "shop"
EXAMPLE = ROOT / "examples" / "refund_desk"
_COMMAND_LIMIT_S = 60


@dataclass(frozen=True, slots=True)
class Installation:
    """A data folder; `ada` is its admin and curator, `rex` a reviewer and a second curator."""

    place: Path

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.place / "data"

    def key_file(self, person: str) -> Path:
        """Where the private key of a person lies."""
        return self.place / f"{person}.json"

    def run(self, *words: str, person: str | None = None) -> str:
        """What one command printed. Raises NotStarted with what it said when it fails."""
        options = ["--data", str(self.data)]
        if person is not None:
            options += ["--key", str(self.key_file(person))]
        command = [*BAILIWICK, *words, *options]
        ended = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=_COMMAND_LIMIT_S, check=False
        )
        if ended.returncode != 0:
            raise NotStarted(f"`bailiwick {' '.join(words)}` failed: {ended.stderr.strip()}")
        return ended.stdout.strip()

    def serve_command(self, port: int | str) -> list[str]:
        """The command that serves this folder."""
        data = ["--data", str(self.data)]
        return [*BAILIWICK, "serve", *data, "--port", str(port), "--log-level", "warning"]


def found(place: Path) -> Installation:
    """Make the data folder under `place`, with its two people."""
    made = Installation(place)
    made.run(
        "init", "--admin", "ada", "--tenant", TENANT, "--role", "curator", "--key", str(made.key_file("ada"))
    )
    public = made.run("key", "new", "rex", "--to", str(made.key_file("rex")))
    roles = ("--role", "reviewer", "--role", "curator")
    made.run("person", "add", "rex", *roles, f"--public-key={public}", person="ada")
    return made


def enrol_agent(made: Installation) -> str:
    """Enrol an agent that ada answers for; its key."""
    return made.run("agent", "add", "bot", person="ada")


def publish_example_corpus(made: Installation) -> None:
    """Import the example's texts; ada hands them in, rex reviews and publishes them."""
    texts: Sequence[Path] = sorted((EXAMPLE / "sources").glob("*.md"))
    versions = made.run("source", "add", *map(str, texts), person="ada").split()
    made.run("source", "submit", *versions, person="ada")
    made.run("source", "review", *versions, "--accept", person="rex")
    made.run("source", "publish", person="rex")
