"""The office of these tests: a data folder with one tau domain, its people, and the server on it."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio
import yaml
from anyio import to_thread
from anyio.streams.text import TextReceiveStream

from context_store.opening import open_knowledge
from ledger.canonical import JsonObject, JsonValue
from ledger.clock import system_now_ms
from ledger.keyring import KeyRing
from policies.enrolling import enrol_person
from policies.enrolments import sign_enrolment
from policies.key_files import read_key_file
from policies.operations import sign_operation
from policies.principals import Person
from policies.signing import PersonalKey, new_personal_key
from policies.verdicts import sign_verdict
from server.data_folder import DataFolder, write_private
from server.founding import found
from server.open_ledger import open_ledger
from server.sending import send_operation
from tests.foreign.tau.database import Outside
from tests.foreign.tau.domains import ROOT, Domain
from tests.foreign.tau.published import GoldCall, gold_tasks, published_data
from tests.policies.two_admins import enrol_by_two
from tests.rooms.stage import publish_text

LATER_MS = 61 * 60_000
"""Later than an approval of these workflows is good for."""


@dataclass(slots=True)
class Office:
    """One domain behind a running server. `outside` is the upstream's database, seen from beside it."""

    domain: Domain
    folder: DataFolder
    keys: dict[str, PersonalKey]
    tasks: list[list[GoldCall]]
    outside: Outside
    url: str = ""
    ahead_ms: int = 0
    clock_file: Path = field(default_factory=Path)

    def owner_of(self, subject: str) -> str | None:
        """Whose an order or a reservation is."""
        kind = f"{self.domain.subject.removesuffix('_id')}s"
        found = self.outside.pristine(kind, subject)
        return None if found is None else str(found["user_id"])

    def steps_of(self, workflow: str) -> list[str]:
        """The steps of one of the domain's workflows."""
        return list(yaml.safe_load(self.domain.workflows()[workflow])["steps"])

    def pass_time(self) -> None:
        """Let everything that was asked for until now expire."""
        self.ahead_ms += LATER_MS
        draft = self.clock_file.with_suffix(".new")
        draft.write_text(str(self.ahead_ms))
        draft.replace(self.clock_file)

    async def agent(self, name: str) -> str:
        """Enrol an agent of olga's; its key."""
        return str((await self.ask("olga", "agent.add", agent=name))["key"])

    async def ask(self, person: str, operation: str, **args: JsonValue) -> JsonObject:
        """An operation that a person signs, by the server's clock."""
        return await to_thread.run_sync(partial(self._ask, person, operation, args))

    async def approve(self, request: str) -> None:
        """Let as many reviewers sign as it takes."""
        await to_thread.run_sync(self._approve, request)

    def _ask(self, person: str, operation: str, args: JsonObject) -> JsonObject:
        at = system_now_ms() + self.ahead_ms
        signed = sign_operation(self.keys[person], operation, args, at=at, nonce=secrets.token_urlsafe(24))
        return send_operation(self.url.removesuffix("/mcp"), operation, args, signed)

    def _approve(self, request: str) -> None:
        for person in ("rita", "remy"):
            shown = self._ask(person, "approval.show", {"request": request})
            at = system_now_ms() + self.ahead_ms
            signed = sign_verdict(self.keys[person], str(shown["digest"]), "approve", at=at)
            told: JsonObject = {
                "request": request,
                "verdict": "approve",
                "at": at,
                "kid": signed.kid,
                "signature": signed.signature,
            }
            if self._ask(person, "approval.judge", told)["state"] == "approved":
                return
        raise AssertionError(f"{request} is not approved by two reviewers")


def make_office(place: Path, domain: Domain, published: Path) -> Office:
    """Found the data folder at `place`, with the domain's policy as its one source."""
    key_file = place.with_name("ada.json")
    founded = found(place, Person("ada", "acme", frozenset({"admin", "curator"})), key_file=key_file)
    folder = founded.folder
    keys = {"ada": read_key_file(key_file, data_folder=place)}
    (folder.catalogue_dir / f"{domain.name}.yaml").write_text(domain.catalogue(published))
    for name, text in domain.workflows().items():
        (folder.workflows_dir / f"{name}.yaml").write_text(text)
    write_private(folder.secrets_file, f"TAU_FOLDER={published}\n".encode())
    people = {
        "olga": frozenset({"admin"}),
        "rita": frozenset({"reviewer"}),
        "remy": frozenset({"reviewer"}),
    }
    with open_ledger(folder, KeyRing.load(folder.keys_dir)) as ledger:
        for name, roles in people.items():
            keys[name] = new_personal_key(name)
            signed = sign_enrolment(keys["ada"], Person(name, "acme", roles), keys[name].public_key)
            if "admin" in roles:
                ledger.transact_now(partial(enrol_person, signed=signed, by="ada"))
            else:
                both = {"first": keys["ada"], "second": keys["olga"]}
                ledger.transact_now(partial(enrol_by_two, signed=signed, **both))
        with open_knowledge(folder.knowledge_path, ledger) as store:
            policy = (published / "policy.md").read_text("utf-8")
            publish_text(store, ledger, "policy.md", f"---\ncollection: policy\n---\n{policy}")
    outside = Outside(place / "tau.sqlite3", published_data(published))
    return Office(
        domain, folder, keys, gold_tasks(published), outside, clock_file=place.with_name("ahead_ms")
    )


@asynccontextmanager
async def opened(office: Office) -> AsyncGenerator[Office]:
    """The office with `bailiwick serve` running on it, as a process of its own."""
    office.clock_file.write_text(str(office.ahead_ms))
    module = (sys.executable, "-m", "tests.foreign.tau.serve_by_a_clock", str(office.clock_file))
    command = (*module, "serve", "--data", str(office.folder.root), "--port", "0", "--log-level", "error")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BAILIWICK_")}
    async with await anyio.open_process(command, cwd=ROOT, stderr=None, env=environment) as process:
        try:
            assert process.stdout is not None
            with anyio.fail_after(30):
                office.url = (await TextReceiveStream(process.stdout).receive()).strip()
            yield office
        finally:
            if process.returncode is None:
                process.terminate()
            assert await process.wait() == 0
            office.outside.close()
