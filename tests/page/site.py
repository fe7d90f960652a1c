"""The approval page of a running server, for tests that sit at its two sides: an agent's and a person's."""

from __future__ import annotations

import json
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
from anyio.from_thread import BlockingPortal

from ledger.canonical import JsonObject
from ledger.clock import system_now_ms
from policies.operations import sign_operation
from policies.signing import PersonalKey, b64url
from policies.verdicts import Choice, sign_verdict
from tests.rooms.peers import Said
from tests.rooms.stage import Room

CHANGE = "shop__change_item"


@dataclass(slots=True)
class Site:
    """A server on a thread of its own. `base` is its origin."""

    portal: BlockingPortal
    room: Room
    keys: Path

    @property
    def base(self) -> str:
        return self.room.url.removesuffix("/mcp")

    def key_file(self, person: str) -> Path:
        """A person's key file, as `bailiwick key new` makes it."""
        key = self.room.stage.keys[person]
        seed = b64url(key.private.private_bytes_raw())
        held = {"v": 1, "person": person, "kid": key.kid, "public_key": key.public_key, "private_key": seed}
        path = self.keys / f"{person}.json"
        path.write_text(json.dumps(held))
        return path

    def agent(self) -> str:
        """The key of a new agent, which olga owns."""
        return self.portal.call(self.room.agent)[1]

    def asked(self, key: str, count: int = 1, /, said: str | None = None, **arguments: Any) -> list[Said]:
        """Writes that an agent asks for in one run; the refusals, each with its request. `said` is what the
        agent concludes in a step before.
        """
        return self.portal.call(partial(self._asked, key, count, said, arguments))

    async def _asked(self, key: str, count: int, said: str | None, arguments: dict[str, Any]) -> list[Said]:
        async with self.room.peer(key) as peer:
            run = await peer.open("change")
            if said is not None:
                await peer.submit(run, "act", "again", reason=said)
            given = [{**arguments, "price": arguments["price"] + more} for more in range(count)]
            return [await peer.use(run, CHANGE, **one) for one in given]

    def write(self, key: str, asked: Said, /, **arguments: Any) -> Said:
        """The agent makes the call with the token that it was given."""
        return self.portal.call(partial(self._write, key, asked, arguments))

    async def _write(self, key: str, asked: Said, arguments: dict[str, Any]) -> Said:
        async with self.room.peer(key) as peer:
            run = self.room.request(asked.approval["request"]).run
            return await peer.use(run, CHANGE, asked.token, **arguments)

    def state(self, asked: Said) -> str:
        """How the request stands."""
        return self.room.request(asked.approval["request"]).state

    def shown(self, person: str, asked: Said) -> JsonObject:
        """What `approval show` is given."""
        request = asked.approval["request"]
        return self.portal.call(partial(self.room.ask, person, "approval.show", request=request))

    @contextmanager
    def http(self, **headers: str) -> Generator[httpx2.Client]:
        """A client that is no browser, which says about itself what a test wants."""
        own = {"origin": self.base, "content-type": "application/json", **headers}
        with httpx2.Client(base_url=self.base, headers=own, trust_env=False) as client:
            yield client

    def sign_in_body(self, key: PersonalKey, page: str, **changes: str) -> JsonObject:
        """What the browser sends to sign in, from a page that it was given."""
        challenge = attribute(page, "challenge")
        args = {"challenge": challenge, "origin": self.base, "server": attribute(page, "server")} | changes
        return operation(key, "page.sign_in", {**args})

    def signed_in(self, client: httpx2.Client, person: str) -> str:
        """Let a client sign in without a browser; what its pages send along."""
        body = self.sign_in_body(self.room.stage.keys[person], client.get("/approvals").text)
        answer = client.post("/approvals/sign-in", json=body)
        assert answer.status_code == 200, answer.text
        return attribute(client.get("/approvals").text, "csrf")

    def verdict_body(self, person: str, asked: Said, choice: Choice = "approve") -> JsonObject:
        """What the browser sends to judge."""
        key, request = self.room.stage.keys[person], asked.approval["request"]
        digest = self.room.request(request).digest
        signed = sign_verdict(key, digest, choice, at=system_now_ms())
        args: JsonObject = {"request": request, "verdict": choice, "at": signed.verdict.at}
        return operation(key, "approval.judge", {**args, "kid": signed.kid, "signature": signed.signature})


def operation(key: PersonalKey, name: str, args: JsonObject) -> JsonObject:
    """A signed operation as it is sent."""
    signed = sign_operation(key, name, args, at=system_now_ms(), nonce=secrets.token_urlsafe(24))
    fields = ("op", "args_digest", "person", "at", "nonce", "kid", "signature")
    return {"args": args, "signed": {name: getattr(signed, name) for name in fields}}


def attribute(page: str, name: str) -> str:
    """The value of a data attribute in a page."""
    return page.split(f'data-{name}="', 1)[1].split('"', 1)[0]
