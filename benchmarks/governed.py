"""The governed side: the product itself, on a data folder made for one measurement.

The folder has one upstream, one workflow (look at an item, then change it), an agent, and a reviewer who is
not the agent's owner. Runs and approvals are prepared here, outside of what is timed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from benchmarks.calls import LIST, Call, WrongAnswer
from benchmarks.installation import Installation, enrol_agent, found, publish_example_corpus
from benchmarks.processes import Loader, free_port, server
from benchmarks.upstream import READ, TOOLS, WRITE
from ledger.canonical import JsonObject
from ledger.clock import system_now_ms
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from policies.approvals import find_request
from policies.key_files import read_key_file
from policies.verdicts import Choice, sign_verdict
from server.data_folder import open_folder
from server.open_ledger import open_ledger
from server.personal_keys import sign_now
from server.sending import send_operation
from tool_scopes.catalogue_files import parse_upstream
from tool_scopes.upstream.tools import UpstreamTool, fingerprint

READ_VIEW, WRITE_VIEW = f"items__{READ}", f"items__{WRITE}"

KINDS = ("call.answered", "call.refused", "approval.requested", "execution.begun", "execution.settled")
"""The kinds of entries that tool calls leave in the log."""

AMOUNT = 7
"""What every write gives its item."""

_EFFECTS = {READ: "effect: read", WRITE: "effect: write, target: 'item:{item}'"}

_WORKFLOW = f"""\
workflow: items
version: 1
purpose: Look at an item, then give it another amount.
input: {{type: object, properties: {{item: {{type: string}}}}, required: [item], additionalProperties: false}}
start: look
steps:
  look:
    kind: read
    purpose: Find out what there is.
    context: {{collections: [policies], need: When is the money of a damaged item refunded, budget: 400}}
    checkpoints: {{evidence: []}}
    tools: [{READ_VIEW}]
    next: [change]
  change:
    kind: execute
    purpose: Give the item its new amount.
    tools: [{WRITE_VIEW}]
"""

_LOOKED: Mapping[str, Any] = {
    "step": "look",
    "status": "done",
    "confidence": 0.9,
    "evidence": [],
    "proposed_action": None,
    "reason": "There is such an item.",
    "state": {},
}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A data folder that is ready to be served. `journal` is where its upstream notes each write."""

    made: Installation
    journal: Path
    agent_key: str

    @contextmanager
    def ledger(self) -> Generator[Ledger]:
        """The folder's ledger, opened by this process beside the server's."""
        folder = open_folder(self.made.data)
        with open_ledger(folder, KeyRing.load(folder.keys_dir)) as ledger:
            yield ledger


@dataclass(frozen=True, slots=True)
class Asked:
    """A write that was refused for want of an approval: the request that stands for it, and its token."""

    request: str
    token: str

    @classmethod
    def in_result(cls, result: Mapping[str, Any]) -> Self:
        """What the refusal says of the approval that the call needs."""
        approval = result["structuredContent"]["approval"]
        return cls(approval["request"], approval["approval_token"])


def prepare(place: Path) -> Prepared:
    """Make the data folder under `place`, with the example's corpus as evidence."""
    place.mkdir()
    made, journal = found(place), place / "upstream.journal"
    (made.data / "catalogue" / "items.yaml").write_text(_catalogue(journal), encoding="utf-8")
    (made.data / "workflows" / "items.yaml").write_text(_WORKFLOW, encoding="utf-8")
    publish_example_corpus(made)
    return Prepared(made, journal, enrol_agent(made))


def written_down(prepared: Prepared) -> dict[str, int]:
    """How many entries of each of `KINDS` the ledger holds, once the whole log is verified.

    Raises WrongAnswer when the log is not whole.
    """
    with prepared.ledger() as ledger:
        report = ledger.verify()
        if not report.whole:
            raise WrongAnswer(f"the log is not whole: {report.fault}")
        return dict(Counter(entry.kind for entry in ledger.entries(kinds=KINDS)))


@contextmanager
def served(
    prepared: Prepared, log: Path, *, records: Literal["durable", "deferred"] = "durable"
) -> Generator[Governed]:
    """`bailiwick serve` on the folder, in a process of its own. `records` is the setting of that name."""
    port = free_port()
    with server(prepared.made.serve_command(port), port, log, {"BAILIWICK_RECORDS": records}):
        yield Governed(prepared, port)


class Governed:
    """The running product, and what its agent and its reviewer do in it."""

    def __init__(self, prepared: Prepared, port: int) -> None:
        self.port = port
        self._prepared = prepared

    def open_runs(self, load: Loader, items: Sequence[str]) -> list[str]:
        """Open a run for each item and read its evidence; the ids. They are at the step that reads."""
        opening = [self._desk("open_run", {"workflow": "items", "input": {"item": item}}) for item in items]
        opened = load.send(self.port, [opening])
        runs = [str(result["structuredContent"]["run"]) for result in opened.results]
        load.send(self.port, [[self._desk("read_context", {"run_id": run}) for run in runs]])
        return runs

    def go_on_to_write(self, load: Loader, runs: Sequence[str]) -> None:
        """End the first step of each run, so that it is at the step that writes."""
        load.send(
            self.port, [[self._desk("submit_step", {"run_id": run, "envelope": _LOOKED}) for run in runs]]
        )

    def read(self, run: str, item: str) -> Call:
        """A governed read, which is answered."""
        expects = {"structuredContent.code": "done", "structuredContent.result.structuredContent.item": item}
        return self._in_step("look", READ_VIEW, {"run_id": run, "item": item}, expects)

    def step_list(self) -> Call:
        """The tools of the step that writes."""
        path, complete = "/mcp/items/change", {"resultType": "complete"}
        return Call("", {}, complete, path, self._prepared.agent_key, method=LIST)

    def refused_write(self, run: str, item: str) -> Call:
        """A governed write without an approval, which is refused with the code that says so."""
        expects = {"structuredContent.code": "approval_required", "isError": True}
        return self._in_step("change", WRITE_VIEW, {"run_id": run, "item": item, "amount": AMOUNT}, expects)

    def approved_write(self, run: str, item: str, asked: Asked) -> Call:
        """The same write with its approval, which is carried out."""
        arguments = {"run_id": run, "item": item, "amount": AMOUNT, "approval_token": asked.token}
        expects = {
            "structuredContent.code": "done",
            "structuredContent.status": "succeeded",
            "structuredContent.result.structuredContent.item": item,
        }
        return self._in_step("change", WRITE_VIEW, arguments, expects)

    def judge(self, asked: Sequence[Asked], choice: Choice) -> None:
        """Have the reviewer judge every request, each by a signed operation that the server performs."""
        key = read_key_file(self._prepared.made.key_file("rex"), data_folder=self._prepared.made.data)
        with self._prepared.ledger() as ledger:
            found = [
                ledger.read(lambda reading, one=one: find_request(reading, one.request)) for one in asked
            ]
        for request in found:
            assert request is not None, "the server gave this request's id"
            signed = sign_verdict(key, request.digest, choice, at=system_now_ms())
            verdict: JsonObject = {
                "request": request.id,
                "verdict": choice,
                "at": signed.verdict.at,
                "kid": signed.kid,
                "signature": signed.signature,
            }
            url = f"http://127.0.0.1:{self.port}"
            send_operation(url, "approval.judge", verdict, sign_now(key, "approval.judge", verdict))

    def _desk(self, tool: str, arguments: Mapping[str, Any]) -> Call:
        expects = {"structuredContent.code": "done"}
        return Call(tool, arguments, expects, "/mcp", self._prepared.agent_key)

    def _in_step(
        self, step: str, tool: str, arguments: Mapping[str, Any], expects: Mapping[str, Any]
    ) -> Call:
        return Call(tool, arguments, expects, f"/mcp/items/{step}", self._prepared.agent_key)


def _catalogue(journal: Path) -> str:
    """The catalogue file of the items, with their tools accepted as they are."""
    command = json.dumps(["${PYTHON}", "-m", "benchmarks.upstream", str(journal)])
    head = f"upstream: items\ntransport: stdio\ncommand: {command}\ntools:\n"
    endpoint = parse_upstream(head + "  {}\n", path="items.yaml").upstream.endpoint
    entries = ""
    for tool in TOOLS:
        accepted = fingerprint(endpoint, UpstreamTool(tool.name, tool.description or "", tool.input_schema))
        entries += f"  {tool.name}: {{{_EFFECTS[tool.name]}, fingerprint: '{accepted}'}}\n"
    return head + entries
