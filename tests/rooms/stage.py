"""The stage of these tests: a data folder with people, evidence and one upstream, and a server that runs on
it.

ada founded the folder and curates; olga owns the agents; rita and remy review; otto is a reviewer who is also
known as the agent `otto-bot`; orla has a tenant of her own. The upstream is `recording_upstream.py`.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import anyio
from anyio import to_thread

from context_store.curation import review, submit
from context_store.importing import Intake, import_text
from context_store.opening import open_knowledge
from context_store.provenance import ProvenanceId
from context_store.releases import publish
from context_store.store import KnowledgeStore
from ledger.canonical import JsonObject
from ledger.clock import system_now_ms
from ledger.entries import StoredEntry
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from ledger.transaction import Reading, Transaction
from policies.agents import enrol_agent
from policies.approvals import ApprovalRequest, find_request
from policies.enrolling import enrol_person
from policies.enrolments import sign_enrolment
from policies.gate_contents import agree
from policies.gate_state import read_gate
from policies.key_files import read_key_file
from policies.principals import Agent, Person
from policies.signing import PersonalKey, new_personal_key
from policies.verdicts import Choice, sign_verdict
from server.data_folder import DataFolder, open_folder
from server.founding import found
from server.open_ledger import open_ledger
from server.personal_keys import sign_now
from server.sending import send_operation
from server.serving import serving
from server.settings import Settings
from server.taking_files import files_of
from tests.policies.two_admins import agreement_on, enrol_by_two
from tests.rooms.files import SOURCES, catalogue, workflows
from tests.rooms.peers import Peer, Said, connected
from tool_scopes.catalogue_files import load_catalogue
from tool_scopes.house import House
from tool_scopes.workflow_files import load_workflows

T = TypeVar("T")

SECOND_ADMIN = Person("olga", "acme", frozenset({"reviewer", "admin"}))
PEOPLE = (
    SECOND_ADMIN,
    Person("olivia", "acme", frozenset({"reviewer"}), frozenset({"olga"})),
    Person("otto", "acme", frozenset({"reviewer"}), frozenset({"otto-bot"})),
    Person("rita", "acme", frozenset({"reviewer"})),
    Person("remy", "acme", frozenset({"reviewer"})),
    Person("orla", "other", frozenset({"admin", "reviewer"})),
)


@dataclass(frozen=True, slots=True)
class Stage:
    """A data folder and the private keys of its people."""

    folder: DataFolder
    keys: dict[str, PersonalKey]

    def moved(self, root: Path) -> Stage:
        """The same stage once its folder was copied to another place."""
        return Stage(open_folder(root), self.keys)

    @property
    def admins(self) -> tuple[PersonalKey, PersonalKey]:
        """The keys of the two admins who agree to what lowers the gate."""
        return self.keys["ada"], self.keys["olga"]

    def agree_to_files(self) -> None:
        """Let the two admins agree to the catalogue and the workflows as they are, for the next start."""
        folder, ring = self.folder, KeyRing.load(self.folder.keys_dir)
        catalogue = load_catalogue(folder.catalogue_dir)
        files = files_of(catalogue, load_workflows(folder.workflows_dir, catalogue))

        def sign(tx: Transaction) -> None:
            gate = read_gate(tx)
            for op, part, base in (
                ("upstream.load", files.tools, gate.tools),
                ("workflow.load", files.flows, gate.workflows),
            ):
                if base != part.digest:
                    args: JsonObject = {"digest": part.digest, "base": base}
                    act = agreement_on(tx, op, args, *self.admins).act
                    agree(tx, part.name, base, part.digest, act)

        with open_ledger(folder, ring) as ledger:
            ledger.transact_now(sign)

    @property
    def recording(self) -> Path:
        """Where the upstream writes down what it was sent and what it did."""
        return self.folder.root / "recording"

    def frames(self, tool: str = "change_item") -> int:
        """How many calls of one of the upstream's tools have arrived there."""
        return sum(frame["name"] == tool for frame in self._lines("frames"))

    def effects(self, item: str | None = None) -> list[dict[str, Any]]:
        """The changes that were really made, of one item or of all."""
        return [one for one in self._lines("effects") if item is None or one.get("item_id") == item]

    def tell_upstream(self, behaviour: str) -> None:
        """What the next calls of `change_item` do, until something else is told; empty: what they should."""
        self.recording.mkdir(exist_ok=True)
        (self.recording / "go").unlink(missing_ok=True)
        (self.recording / "behave").write_text(behaviour)

    def let_go(self) -> None:
        """Calls that wait go on."""
        (self.recording / "go").touch()

    def _lines(self, name: str) -> list[dict[str, Any]]:
        path = self.recording / f"{name}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def ask(self, url: str, person: str, operation: str, /, **args: Any) -> JsonObject:
        """An operation that a person signs and sends to the server at `url`; blocks."""
        signed = sign_now(self.keys[person], operation, args)
        return send_operation(url, operation, args, signed)

    def judge(self, url: str, person: str, request: str, verdict: Choice = "approve") -> JsonObject:
        """Let a person look at a request and sign a verdict, as the command line does; blocks."""
        shown = self.ask(url, person, "approval.show", request=request)
        signed = sign_verdict(self.keys[person], str(shown["digest"]), verdict, at=system_now_ms())
        told = {"verdict": verdict, "at": signed.verdict.at, "kid": signed.kid, "signature": signed.signature}
        return self.ask(url, person, "approval.judge", request=request, **told)


@dataclass(slots=True)
class Room:
    """A stage with a server running on it."""

    stage: Stage
    url: str
    """Of the desk: `http://127.0.0.1:PORT/mcp`."""
    house: House
    _names: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def agent(self, *, tenant: str = "acme", name: str | None = None) -> tuple[str, str]:
        """A new agent: its id and its key. olga owns it, or orla in the other tenant."""
        owner = "olga" if tenant == "acme" else "orla"
        agent = Agent(name or f"bot-{next(self._names)}-{tenant}", tenant, owner)
        return agent.id, await self.work(lambda tx: enrol_agent(tx, agent, by=owner))

    async def enrol(self, name: str) -> None:
        """A new reviewer, signed for by ada and olga; nothing happens when there is one of that name."""
        if name in self.stage.keys:
            return
        key = self.stage.keys[name] = new_personal_key(name)
        person = Person(name, "acme", frozenset({"reviewer"}))
        signed = sign_enrolment(self.stage.keys["ada"], person, key.public_key)
        await self.work(lambda tx: enrol_by_two(tx, signed, *self.stage.admins))

    @asynccontextmanager
    async def peer(self, credential: str, era: str = "auto", path: str = "") -> AsyncGenerator[Peer]:
        """A connection to the desk with a credential, or to a step's URL below it."""
        async with connected(self.url + path, credential, era) as peer:
            yield peer

    async def approved(
        self, peer: Peer, run: str, tool: str = "shop__change_item", /, **arguments: Any
    ) -> Said:
        """Ask for a write and let rita approve it; the refusal that named the request and its token."""
        asked = await peer.use(run, tool, **arguments)
        assert asked.code == "approval_required", asked
        await self.judge("rita", asked.approval["request"])
        return asked

    async def judge(self, person: str, request: str, verdict: Choice = "approve") -> JsonObject:
        """Let a person judge a request over the loopback interface."""
        url = self.url.removesuffix("/mcp")
        return await to_thread.run_sync(partial(self.stage.judge, url, person, request, verdict))

    async def ask(self, person: str, operation: str, /, **args: Any) -> JsonObject:
        """An operation of a person over the loopback interface."""
        url = self.url.removesuffix("/mcp")
        return await to_thread.run_sync(partial(self.stage.ask, url, person, operation, **args))

    async def both(self, first: str, second: str, operation: str, **args: Any) -> JsonObject:
        """An act of two admins: the first proposes it, the second looks at it and signs."""
        proposed = await self.ask(first, operation, **args)
        act = cast("JsonObject", proposed["proposed"])
        return await self.ask(second, "act.sign", act=act["act"], digest=act["digest"])

    async def work(self, work: Callable[[Transaction], T]) -> T:
        """One transaction of the running server's own ledger."""
        return await self.house.ledger.transact(work)

    def read(self, work: Callable[[Reading], T]) -> T:
        """A look at the running server's ledger."""
        return self.house.ledger.read(work)

    def request(self, request_id: str) -> ApprovalRequest:
        """An approval request as it stands."""
        found = self.read(lambda reading: find_request(reading, request_id))
        assert found is not None
        return found

    def entries(self, *kinds: str, run: str | None = None) -> list[StoredEntry]:
        """The log's entries of some kinds."""
        return list(self.house.ledger.entries(run=run, kinds=kinds))

    def refused(self, code: str) -> int:
        """How many refusals with a code stand in the log."""
        return sum(entry.body["code"] == code for entry in self.entries("call.refused"))


@asynccontextmanager
async def served(stage: Stage, ledger_url: str | None = None, **more: Any) -> AsyncGenerator[Room]:
    """A server on the stage's folder, on a free port, for the length of the block; `more` are settings."""
    settings = Settings(host="127.0.0.1", port=0, ledger_url=ledger_url, **more)
    async with serving(stage.folder, settings) as (url, house):
        yield Room(stage, url, house)


def found_stage(place: Path, ledger_url: str | None = None) -> Stage:
    """Make the stage's data folder at `place`, with its ledger in it or elsewhere."""
    key_file = place.with_name(f"{place.name}-ada.json")
    founder = Person("ada", "acme", frozenset({"admin", "curator"}))
    made = found(place, founder, key_file=key_file, ledger_url=ledger_url)
    ada = read_key_file(key_file, data_folder=place)
    keys = {"ada": ada, **{person.id: new_personal_key(person.id) for person in PEOPLE}}
    (made.folder.catalogue_dir / "shop.yaml").write_text(catalogue())
    for name, text in workflows().items():
        (made.folder.workflows_dir / f"{name}.yaml").write_text(text)
    with open_ledger(made.folder, KeyRing.load(made.folder.keys_dir), ledger_url) as ledger:
        for person in PEOPLE:
            signed = sign_enrolment(ada, person, keys[person.id].public_key)
            if person is SECOND_ADMIN:
                ledger.transact_now(lambda tx, signed=signed: enrol_person(tx, signed, by="ada"))
            else:
                ledger.transact_now(lambda tx, signed=signed: enrol_by_two(tx, signed, ada, keys["olga"]))
        with open_knowledge(made.folder.knowledge_path, ledger) as store:
            for name, text in SOURCES.items():
                publish_text(store, ledger, name, text)
    return Stage(made.folder, keys)


def publish_text(store: KnowledgeStore, ledger: Ledger, name: str, text: str) -> ProvenanceId:
    """Bring a text into force, in a release of its own: ada imports it and rita accepts it."""
    imported = import_text(store, ledger, text.encode(), name, f"memory:{name}", Intake("acme", "ada"))
    ledger.transact_now(lambda tx: submit(tx, "acme", imported.id, "ada"))
    ledger.transact_now(lambda tx: review(tx, "acme", imported.id, "rita", "accept"))
    publish(store, ledger, "acme", [imported.id], "ada")
    return imported.id


async def until(true: Callable[[], bool]) -> None:
    """Let everything else run until `true()`; fails after some ten seconds."""
    for _ in range(2_000):
        if true():
            return
        await anyio.sleep(0.005)
    raise AssertionError("it did not come true")
