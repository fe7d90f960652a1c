"""A data folder made for one measurement, through the command line as a person would make it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.processes import ROOT, NotStarted
from ledger.keyring import KeyRing
from policies.agents import enrol_agent as enrol
from policies.principals import Agent, Person
from server.founding import found as found_folder
from server.open_ledger import open_ledger

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


def found_with_agents(place: Path, agents: int) -> tuple[Installation, list[str]]:
    """A data folder whose admin owns so many agents, `bot-0` and so on, and their keys: made by what stands
    behind the command line, where what is measured is not how a person would make it.
    """
    made = Installation(place)
    admin = Person("ada", TENANT, frozenset({"admin", "curator"}))
    folder = found_folder(made.data, admin, key_file=made.key_file("ada")).folder
    with open_ledger(folder, KeyRing.load(folder.keys_dir)) as ledger:
        named = [Agent(f"bot-{number}", TENANT, "ada") for number in range(agents)]
        return made, [ledger.transact_now(partial(enrol, agent=agent, by="ada")) for agent in named]


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
