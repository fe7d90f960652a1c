"""Two servers in one process, over one ledger and one fake upstream, by a clock that stands still.

A server is wired as the real one is (`server.assembly`); only its upstream is an object that writes down what
it was sent, and the ledger's clock is the test's. So a server can crash between two lines of code.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

from anyio.from_thread import BlockingPortal, start_blocking_portal

from ledger.canonical import JsonObject
from ledger.clock import system_now_ms
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from ledger.transaction import Transaction
from policies.agents import enrol_agent
from policies.principals import Agent
from server import assembly
from server.data_folder import DataFolder
from server.settings import Settings
from tests.rooms.recording_upstream import listed
from tests.rooms.stage import Stage
from tool_scopes.house import Answer, Caller, House
from tool_scopes.opening import open_run
from tool_scopes.refusals import Refused
from tool_scopes.submission import submit_step
from tool_scopes.tool_calls import call_tool
from tool_scopes.upstream.servers import StdioServer
from tool_scopes.upstream.tools import UpstreamResult, UpstreamTool

T = TypeVar("T")
BOT = Agent("machine-bot", "acme", "olga")


class Crash(Exception):
    """The server's process is gone, at this very line."""


@dataclass(slots=True)
class FakeUpstream:
    """What each call does is told beforehand; every effect is written down."""

    endpoint: str
    name: str = "shop"
    failure: str | None = None
    behaviour: str = "work"
    effects: list[JsonObject] = field(default_factory=list[JsonObject])
    frames: int = 0

    @property
    def tools(self) -> dict[str, UpstreamTool]:
        """The tools that the stage's catalogue was accepted for."""
        return {
            tool["name"]: UpstreamTool(tool["name"], tool["description"], tool["inputSchema"])
            for tool in listed()
        }

    async def call(self, tool: str, arguments: JsonObject, timeout_s: float) -> UpstreamResult:
        """One frame."""
        self.frames += 1
        match self.behaviour:
            case "refuse":
                return _answer("no effect: the item is locked", is_error=True)
            case "crash_before":
                raise Crash
            case _:
                self.effects.append({"tool": tool, **arguments})
        if self.behaviour == "crash_after":
            raise Crash
        return _answer("done", is_error=self.behaviour == "fail_after")


def _answer(text: str, *, is_error: bool) -> UpstreamResult:
    return UpstreamResult(is_error, [{"type": "text", "text": text}], None, text)


@dataclass(slots=True)
class Server:
    """One server. `files` says which version of the catalogue it has loaded."""

    house: House
    files: int
    close: Callable[[], object]

    def work(self, work: Callable[[Transaction], T]) -> T:
        """A transaction of this server's ledger."""
        return self.house.ledger.transact_now(work)


class TwoServers:
    """The two servers, and whatever happens to them."""

    def __init__(self, founded: Stage, place: Path) -> None:
        self.place = place
        self.now_ms = system_now_ms()
        self.upstream = FakeUpstream("")
        self._opened = ExitStack()
        self.folders = [self._copy(founded, f"server-{number}") for number in range(2)]
        self._url = self.folders[0].ledger_url
        for name, put in (("open_ledger", self._open_ledger), ("running_upstreams", self._upstreams)):
            self._opened.enter_context(patch.object(assembly, name, put))
        with ExitStack() as on_failure:
            on_failure.push(self._opened)
            self._portal: BlockingPortal = self._opened.enter_context(start_blocking_portal())
            self.servers = [self._start(number, 0) for number in range(2)]
            self.servers[0].work(lambda tx: enrol_agent(tx, BOT, by="olga"))
            on_failure.pop_all()

    def close(self) -> None:
        """End everything and remove the folders."""
        for server in self.servers:
            server.close()
        self._opened.close()
        shutil.rmtree(self.place)

    def restart(self, number: int, files: int) -> None:
        """End one server and start it again, with the one or the other version of its files."""
        self.servers[number].close()
        self.servers[number] = self._start(number, files)

    def open_run(self, number: int) -> str:
        """Open a run."""
        given: JsonObject = {"item_id": "i-1", "request": "r"}
        said = self._ask(open_run, self.servers[number].house, Caller(BOT), "machine", given, None)
        assert isinstance(said, Answer)
        return str(said.body["run"])

    def use(
        self, number: int, run: str, tool: str, arguments: JsonObject, token: str | None
    ) -> Answer | Refused:
        """Use a tool at a server; raises `Crash` when that takes the server down."""
        house = self.servers[number].house
        return self._ask(call_tool, house, Caller(BOT), run, tool, arguments, token)

    def use_at_once(self, run: str, tool: str, arguments: JsonObject, token: str) -> list[Answer | Refused]:
        """The same call at both servers at once."""
        calls = [
            self._portal.start_task_soon(
                call_tool, server.house, Caller(BOT), run, tool, dict(arguments), token
            )
            for server in self.servers
        ]
        return [call.result(30) for call in calls]

    def submit(self, number: int, run: str, step: str, following: str) -> Answer | Refused:
        """End a step."""
        envelope: JsonObject = {
            "step": step,
            "status": "done",
            "confidence": 0.9,
            "evidence": [],
            "proposed_action": None,
            "reason": "r",
            "state": {},
        }
        return self._ask(submit_step, self.servers[number].house, Caller(BOT), run, envelope, following)

    def _ask(self, act: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        return self._portal.call(act, *arguments)

    def _start(self, number: int, files: int) -> Server:
        catalogue = self.folders[number].catalogue_dir / "shop.yaml"
        text = catalogue.read_text()
        other = {0: '"timeout": 10.0', 1: '"timeout": 11.0'}
        catalogue.write_text(text.replace(other[1 - files], other[files]))
        settings = Settings(host="127.0.0.1", port=0, ledger_url=self._url)
        running: AbstractContextManager[House] = self._portal.wrap_async_context_manager(
            assembly.running_house(self.folders[number], settings)
        )
        house = running.__enter__()
        return Server(house, files, partial(running.__exit__, None, None, None))

    def _copy(self, founded: Stage, name: str) -> DataFolder:
        root = self.place / name
        shutil.copytree(founded.folder.root, root)
        return founded.moved(root).folder

    def _open_ledger(
        self, folder: DataFolder, ring: KeyRing, url: str | None = None, *, deferred: bool = False
    ) -> Ledger:
        assert not deferred
        return Ledger.open(url or folder.ledger_url, ring, origin=folder.origin, clock=lambda: self.now_ms)

    @asynccontextmanager
    async def _upstreams(self, catalogue: Any, *_rest: Any, seen: Any, **_more: Any) -> AsyncGenerator[Any]:
        server = catalogue.upstreams["shop"].server
        assert isinstance(server, StdioServer)
        self.upstream.endpoint = server.endpoint
        await seen(self.upstream)
        yield {"shop": self.upstream}
