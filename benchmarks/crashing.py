"""Killing with `kill -9`, again and again: what was acknowledged must be there, whole, and once.

As a program it imports three documents, has them accepted, publishes them, says so, and goes on until it is
killed: `python -m benchmarks.crashing FOLDER FIRST`. Begun again with the first document that it did not
acknowledge, it repeats what may have been done already: that must change nothing. The benchmark kills that
program and, in the same way, a server that is asked to do the same, and looks after each death.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, sleep
from typing import Final

import server.tables as _tables
from benchmarks.calls import WrongAnswer
from benchmarks.installation import TENANT, Installation, found
from benchmarks.processes import ROOT, free_port, server
from benchmarks.registry import Extent
from benchmarks.rows import Row
from context_store.check import check_store
from context_store.curation import review, status_of, submit
from context_store.errors import ImportRefused
from context_store.importing import import_many
from context_store.intake import Incoming, Intake
from context_store.opening import open_knowledge
from context_store.provenance import ProvenanceId
from context_store.releases import publish
from context_store.tables import version_status
from ledger.canonical import JsonObject, JsonValue
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from ledger.transaction import Transaction
from policies.key_files import read_key_file
from server.errors import DeskError
from server.personal_keys import sign_now
from server.sending import send_operation

KILLS, SERVED = 100, 20
"""How often something is killed; and how many of these times it is a server."""

TOGETHER: Final = 3
ORIGIN: Final = "bailiwick/crash"
_ACT_S: Final = 0.6
_DECLARED = _tables


def document(number: int) -> Incoming:
    """The document of a number; its source is `doc-NUMBER`."""
    text = f"# Rule {number}\n\nRule {number} holds for {number + 3} days.\n\n" + "It is kept as it is. " * 40
    return Incoming(f"doc-{number}.md", f"memory:doc-{number}", text.encode())


def work(folder: Path, first: int, tenant: str = "acme") -> None:
    """Import, accept and publish from `first` on, for ever, saying after each act what was done."""
    keys = KeyRing.load(folder / "keys")
    origin = (folder / "origin").read_text() if (folder / "origin").exists() else "bailiwick.test/library"
    with (
        Ledger.open(f"sqlite:///{folder / 'ledger.db'}", keys, origin=origin) as ledger,
        open_knowledge(folder / "knowledge.duckdb", ledger) as store,
    ):
        while True:
            batch = [document(number) for number in range(first, first + TOGETHER)]
            versions: list[ProvenanceId] = []
            for outcome in import_many(store, ledger, batch, Intake(tenant, "carol")):
                if isinstance(outcome, ImportRefused):
                    raise outcome
                versions.append(outcome.id)
            print(f"imported {first}", flush=True)
            ledger.transact_now(lambda tx, versions=versions: _accept(tx, tenant, versions))
            left = [version for version in versions if _state(ledger, tenant, version) == "in_review"]
            if left:
                publish(store, ledger, tenant, left, "rita")
            print(f"published {first}", flush=True)
            first += TOGETHER


def _accept(tx: Transaction, tenant: str, versions: list[ProvenanceId]) -> None:
    for version in versions:
        status = status_of(tx, tenant, version)
        if status is not None and status.status == "draft":
            submit(tx, tenant, version, "carol")
            review(tx, tenant, version, "rita", "accept")


def _state(ledger: Ledger, tenant: str, version: ProvenanceId) -> str | None:
    status = ledger.read(lambda reading: status_of(reading, tenant, version))
    return None if status is None else status.status


@dataclass(slots=True)
class Told:
    """What was acknowledged: documents that were imported, and those that were published."""

    imported: set[int] = field(default_factory=set[int])
    published: set[int] = field(default_factory=set[int])

    def hear(self, line: str) -> None:
        """Take in a whole line of the program."""
        what, _, first = line.strip().partition(" ")
        documents = range(int(first), int(first) + TOGETHER)
        (self.imported if what == "imported" else self.published).update(documents)

    @property
    def next(self) -> int:
        """The first document that is not known to be published."""
        return max(self.published, default=-1) + 1

    @property
    def acts(self) -> int:
        """How many acts were acknowledged, each of one document."""
        return len(self.imported) + len(self.published)


@dataclass(slots=True)
class Damage:
    """What was wrong after deaths, one sentence each; and how long opening again took, in seconds."""

    lost: list[str] = field(default_factory=list[str])
    torn: list[str] = field(default_factory=list[str])
    doubled: list[str] = field(default_factory=list[str])
    opened_s: list[float] = field(default_factory=list[float])


def look(ledger_url: str, keys: Path, knowledge: Path, origin: str, tenant: str, told: Told) -> Damage:
    """Open what a death left, and hold it against what was acknowledged."""
    damage = Damage()
    began = perf_counter()
    with (
        Ledger.open(ledger_url, KeyRing.load(keys), origin=origin) as ledger,
        open_knowledge(knowledge, ledger) as store,
    ):
        damage.opened_s.append(perf_counter() - began)
        damage.torn += [*check_store(store, ledger).problems]
        if not ledger.verify().whole:
            damage.torn.append("The log does not verify.")
        rows = ledger.read(lambda reading: reading.all(version_status.select()))
    standing = {row.source: row.status for row in rows if row.tenant == tenant}
    damage.doubled += [f"{row.source} has a version {row.version}." for row in rows if row.version > 1]
    damage.lost += [f"doc-{n} was imported." for n in sorted(told.imported) if f"doc-{n}" not in standing]
    damage.lost += [
        f"doc-{number} was published."
        for number in sorted(told.published)
        if standing.get(f"doc-{number}") != "published"
    ]
    return damage


def kill_the_program(folder: Path, told: Told, chance: random.Random) -> None:
    """Start the program where it was stopped, and kill it somewhere in its work."""
    command = [sys.executable, "-m", "benchmarks.crashing", str(folder), str(told.next)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None, "the program was started with a pipe"
        for _ in range(chance.randrange(4)):
            told.hear(process.stdout.readline())
        sleep(chance.random() * 0.15)
        os.kill(process.pid, signal.SIGKILL)
        for line in process.stdout:
            if line.endswith("\n"):
                told.hear(line)


def measure(extent: Extent) -> list[Row]:
    """A hundred deaths, whatever the rounds: fewer would show less."""
    chance = random.Random(79)
    damage, acts = Damage(), 0
    with tempfile.TemporaryDirectory(prefix="bailiwick-bench-") as place:
        for victims, kills in ((_programs, KILLS - SERVED), (_servers, SERVED)):
            told = Told()
            folder = Path(place) / victims.__name__.strip("_")
            folder.mkdir()
            kill, examine = victims(folder, told, chance)
            for _ in range(kills):
                kill()
                seen = examine()
                for kind in ("lost", "torn", "doubled", "opened_s"):
                    getattr(damage, kind).extend(getattr(seen, kind))
            if not told.published:
                raise WrongAnswer("nothing was acknowledged before it was killed")
            acts += told.acts
            whole = examine()
    for sentence in (*damage.lost, *damage.torn, *damage.doubled):
        print(sentence, file=sys.stderr)
    counted = [
        Row(
            name="crash",
            metric=f"{kind} after {KILLS} kills",
            unit="acts",
            ours=float(len(getattr(damage, kind))),
            peer=float(acts),
            peer_name="acts acknowledged",
            most=0.0,
        )
        for kind in ("lost", "torn", "doubled")
    ]
    opening = Row(
        name="crash",
        metric="opening after a kill, worst",
        unit="s",
        ours=max(damage.opened_s),
        peer=whole.opened_s[0],
        peer_name="opening after an ordinary end",
    )
    return [*counted, opening]


Kill = tuple[Callable[[], None], Callable[[], Damage]]


def _programs(folder: Path, told: Told, chance: random.Random) -> Kill:
    KeyRing.create(folder / "keys")
    (folder / "origin").write_text(ORIGIN)
    url = f"sqlite:///{folder / 'ledger.db'}"
    return (
        lambda: kill_the_program(folder, told, chance),
        lambda: look(url, folder / "keys", folder / "knowledge.duckdb", ORIGIN, "acme", told),
    )


def _servers(folder: Path, told: Told, chance: random.Random) -> Kill:
    made = found(folder)
    data = made.data
    origin = f"bailiwick/{_folder_id(data)}"
    return (
        lambda: _kill_a_server(made, told, chance),
        lambda: look(
            f"sqlite:///{data / 'ledger.sqlite3'}",
            data / "keys",
            data / "knowledge.duckdb",
            origin,
            TENANT,
            told,
        ),
    )


def _folder_id(data: Path) -> str:
    from server.data_folder import open_folder

    return open_folder(data).id


def _kill_a_server(made: Installation, told: Told, chance: random.Random) -> None:
    port = free_port()
    with server(made.serve_command(port), port, made.place / "serve.log") as process:
        timer = threading.Timer(0.05 + chance.random() * _ACT_S, process.kill)
        timer.start()
        try:
            while True:
                _act(made, f"http://127.0.0.1:{port}", told)
        except DeskError as error:
            if process.wait(10) != -signal.SIGKILL:
                last = (made.place / "serve.log").read_text(errors="replace")[-400:]
                raise WrongAnswer(f"the server was not killed: {error} It printed: {last}") from None
        finally:
            timer.cancel()


def _act(made: Installation, url: str, told: Told) -> None:
    """The same three acts, asked of a server by two people."""
    import base64

    first = told.next
    documents: list[JsonValue] = [
        {"name": one.name, "origin": one.origin, "content": base64.b64encode(one.raw).decode()}
        for one in (document(number) for number in range(first, first + TOGETHER))
    ]

    def ask(person: str, name: str, args: JsonObject) -> JsonObject:
        key = read_key_file(made.key_file(person), data_folder=made.data)
        return send_operation(url, name, args, sign_now(key, name, args))

    ask("ada", "source.import", {"documents": documents})
    told.hear(f"imported {first}")
    for number in range(first, first + TOGETHER):
        version = f"doc-{number}@1"
        shown = ask("ada", "source.show", {"version": version})
        if shown["status"] == "draft":
            ask("ada", "source.submit", {"version": version})
        if shown["status"] != "published" and shown["reviewed_by"] is None:
            ask("rex", "source.review", {"version": version, "verdict": "accept"})
    states = {
        number: ask("ada", "source.show", {"version": f"doc-{number}@1"})["status"]
        for number in range(first, first + TOGETHER)
    }
    left = [f"doc-{number}@1" for number, state in states.items() if state == "in_review"]
    if left:
        ask("rex", "source.publish", {"versions": [*left]})
    told.hear(f"published {first}")


if __name__ == "__main__":
    work(Path(sys.argv[1]), int(sys.argv[2]))
