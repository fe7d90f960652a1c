"""The stage of the demo: a data folder with its people and evidence, and the order desk that stands behind
it.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from examples.refund_desk import seed
from server.demo.commands import Commands

MATERIAL = Path(seed.__file__).parent
"""The example desk: its catalogue, workflow and policy documents."""

WORKFLOW = "refund"
AGENT = "refund-bot"


@dataclass(frozen=True, slots=True)
class Stage:
    """What was made. Personal keys lie beside the data folder, never in it."""

    data: Path
    keys: Path
    agent_key: str
    sources: tuple[str, ...]
    release: int
    _texts: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def orders(self) -> Path:
        """The order desk's own database."""
        return self.data / "refund_desk.db"

    @property
    def server_log(self) -> Path:
        """What the demo's server says beside its URL."""
        return self.data.parent / "server.log"

    def acting_as(self, person: str) -> tuple[str, ...]:
        """The options with which a command acts as this person on this folder."""
        return ("--data", str(self.data), "--key", str(self.keys / f"{person}.json"))

    def text_of(self, version: str, commands: Commands) -> str:
        """The stored text of a version such as `refund-policy@1`, as a curator sees it."""
        if version not in self._texts:
            shown = commands.run("source", "show", version, "--json", *self.acting_as("casey"))
            self._texts[version] = json.loads(shown)["text"]
        return self._texts[version]


def set_stage(root: Path, commands: Commands) -> Stage:
    """Make everything under `root`: ada administers, casey curates, robin reviews, and ada owns the agent."""
    data, keys = root / "data", root / "keys"
    as_ada = ("--data", str(data), "--key", str(keys / "ada.json"))
    commands.run("init", "--admin", "ada", "--role", "curator", *as_ada)
    for person, role in (("casey", "curator"), ("robin", "reviewer")):
        public_key = commands.run(
            "key", "new", person, "--to", str(keys / f"{person}.json"), "--data", str(data)
        )
        commands.run("person", "add", person, "--role", role, "--public-key", public_key, *as_ada)
    agent_key = commands.run("agent", "add", AGENT, *as_ada)
    for kind in ("catalogue", "workflows"):
        for file in sorted((MATERIAL / kind).glob("*.yaml")):
            shutil.copy(file, data / kind)
    seed.seed(data / "refund_desk.db")
    as_casey = ("--data", str(data), "--key", str(keys / "casey.json"))
    files = [str(path) for path in sorted((MATERIAL / "sources").glob("*.md"))]
    sources = tuple(commands.run("source", "add", *files, *as_ada).split())
    commands.run("source", "submit", *sources, *as_ada)
    commands.run("source", "review", *sources, "--accept", *as_casey)
    release = int(commands.run("source", "publish", *sources, *as_casey))
    return Stage(data, keys, agent_key, sources, release)
