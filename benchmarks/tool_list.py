"""A step's `tools/list` among 500 upstream tools, and how many tokens it costs a model.

The peer lists the very same entries from a bare server of the same SDK, which knows no credential, no run and
no step. The list is asked for with a step pass, and with the agent's key at the step's URL; each answer is
checked entry by entry. Tokens are estimated as bundles are, for the workflows of the public tau domains: what
an agent reads of tools in one step, beside what it would read of all of them.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, Literal

from benchmarks.calls import LIST, Call
from benchmarks.installation import Installation, found_with_agents
from benchmarks.many_tools import tools
from benchmarks.processes import Loader, free_port, loader, server
from benchmarks.public import data_folder
from benchmarks.registry import Extent
from benchmarks.rounds import Rounds, in_turn
from benchmarks.rows import Row
from context_store.tokens import estimate_tokens
from server.tool_lists import desk_entries, step_entries
from tool_scopes.catalogue import Catalogue
from tool_scopes.catalogue_files import parse_upstream
from tool_scopes.offering import Offering
from tool_scopes.scopes import Scopes
from tool_scopes.upstream.tools import UpstreamTool, fingerprint
from tool_scopes.workflows import parse_workflow

Way = Literal["pass", "URL"]
Subject = tuple[Way, int, bool]
"""What a timing belongs to: how it was asked, by how many clients at once, and whether of us."""

CALLS: Mapping[int, int] = {1: 60, 8: 160}
"""How many clients at once → how many lists all of them together ask for in one round."""

SEEN = 8
"""How many of the 500 tools the step has."""

WAYS: tuple[Way, ...] = ("pass", "URL")
LIMIT = 1.0
"""The promised ratio of medians."""

_WORKFLOW = """\
workflow: shelves
version: 1
purpose: Look at a few shelves.
input: {type: object, properties: {request: {type: string}}, required: [request], additionalProperties: false}
start: look
steps:
  look: {kind: read, purpose: Look., tools: [%s]}
"""


def measure(extent: Extent) -> list[Row]:
    """Lists in time, then lists in tokens. One round before the first is not counted."""
    return _in_time(extent) + _in_tokens()


def _in_time(extent: Extent) -> list[Row]:
    timings: Rounds[Subject] = Rounds()
    with tempfile.TemporaryDirectory(prefix="bailiwick-bench-") as place, ExitStack() as running:
        folder = Path(place)
        made, key = _installed(folder)
        port, load = free_port(), running.enter_context(loader())
        running.enter_context(server(made.serve_command(port), port, folder / "ours.log"))
        asks = _asks(load, port, key)
        peers = {way: _peer(running, folder, way, asks[way]) for way in WAYS}
        for number in range(extent.rounds + 1):
            for clients, count in CALLS.items():
                for way in WAYS:
                    bare = Call("", {}, {"tools": asks[way].expects["tools"]}, method=LIST)
                    for ours in in_turn((True, False), number):
                        call, at = (asks[way], port) if ours else (bare, peers[way])
                        answered = load.send(at, [[call] * (count // clients)] * clients)
                        if number:
                            timings.add((way, clients, ours), answered.timings_ms)
    return [
        Row(
            name="tool_list",
            metric=f"tools/list by {way} {word}" + ("" if clients == 1 else f", {clients} clients"),
            unit="ms",
            ours=timings.typical((way, clients, True), share),
            peer=timings.typical((way, clients, False), share),
            peer_name="bare server that lists the same",
            limit=LIMIT if word == "p50" else None,
        )
        for clients in CALLS
        for way in WAYS
        for share, word in ((0.5, "p50"), (0.95, "p95"))
    ]


def _installed(place: Path) -> tuple[Installation, str]:
    """A data folder with the 500 tools, all of them offered, and a step that has a few."""
    made, (key,) = found_with_agents(place, 1)
    command = json.dumps(["${PYTHON}", "-m", "benchmarks.many_tools", "upstream"])
    head = f"upstream: store\ntransport: stdio\ncommand: {command}\ntools:\n"
    endpoint = parse_upstream(head + "  {}\n", path="store.yaml").upstream.endpoint
    entries = [
        f"  {tool.name}: {{effect: read, fingerprint: '"
        + fingerprint(endpoint, UpstreamTool(tool.name, tool.description or "", tool.input_schema))
        + "'}\n"
        for tool in tools()
    ]
    (made.data / "catalogue" / "store.yaml").write_text(head + "".join(entries), encoding="utf-8")
    seen = ", ".join(f"store__{tool.name}" for tool in tools()[:: len(tools()) // SEEN][:SEEN])
    (made.data / "workflows" / "shelves.yaml").write_text(_WORKFLOW % seen, encoding="utf-8")
    return made, key


def _asks(load: Loader, port: int, key: str) -> Mapping[Way, Call]:
    """How the list is asked for in each way, with the entries that it has to have each time."""
    said = {"structuredContent.code": "done"}
    opening = Call("open_run", {"workflow": "shelves", "input": {"request": "Look."}}, said, bearer=key)
    run = load.send(port, [[opening]]).results[0]["structuredContent"]["run"]
    passing = Call("current_step", {"run_id": run, "with_pass": True}, said, bearer=key)
    issued = load.send(port, [[passing]]).results[0]["structuredContent"]["step_pass"]
    asks: dict[Way, Call] = {}
    places: Mapping[Way, tuple[str, str]] = {"pass": ("/mcp", issued), "URL": ("/mcp/shelves/look", key)}
    for way, (path, bearer) in places.items():
        first = load.send(port, [[Call("", {}, {}, path, bearer, method=LIST)]]).results[0]["tools"]
        assert sum(tool["name"].startswith("store__") for tool in first) == SEEN
        asks[way] = Call("", {}, {"tools": first, "cacheScope": "private"}, path, bearer, method=LIST)
    return asks


def _peer(running: ExitStack, folder: Path, way: Way, ask: Call) -> int:
    """A bare server with the entries that one of our lists has; its port."""
    port, file = free_port(), folder / f"{way}.json"
    file.write_text(json.dumps(ask.expects["tools"]), encoding="utf-8")
    command = [sys.executable, "-m", "benchmarks.many_tools", "listed", str(file), str(port)]
    running.enter_context(server(command, port, folder / f"{way}.log"))
    return port


_TOLD = ("name", "description", "inputSchema")


def _in_tokens() -> list[Row]:
    # The domains as their admin classified them, with their workflows, stand with the tests that walk them.
    from tests.foreign.tau.domains import DOMAINS, Domain
    from tests.foreign.tau.published import published_tools

    def rows(domain: Domain) -> list[Row]:
        published = data_folder(f"tau_{domain.name}")
        listed = [
            UpstreamTool(tool.name, tool.description, tool.input_schema)
            for tool in published_tools(published)
        ]
        part = parse_upstream(domain.catalogue(published), path=domain.name)
        catalogue = Catalogue({domain.name: part.upstream}, {view.name: view for view in part.views}, "")
        offering = Offering(catalogue)
        offering.take(domain.name, {tool.name: tool for tool in listed})
        text = domain.workflows()[domain.name]
        workflow = parse_workflow(text, path=domain.name, effects=catalogue.offered_effects())
        scopes = Scopes(offering, catalogue, {domain.name: workflow})
        steps = [
            _tokens(step_entries(scopes.scope(workflow, step), run_id=False))
            for step in workflow.steps.values()
        ]
        whole = _tokens(
            [
                {"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema}
                for tool in listed
            ]
        )
        told = {
            "the list of a typical step": median(steps),
            "the longest list of a step": max(steps),
            "the list of the desk": _tokens(desk_entries()),
        }
        return [
            Row("tool_list", f"tau {domain.name}: {what}", "tokens", tokens, whole, "all of its tools")
            for what, tokens in told.items()
        ]

    return [row for domain in DOMAINS.values() for row in rows(domain)]


def _tokens(entries: list[dict[str, Any]]) -> int:
    """What a model is told of them: output schemas are for its client, which checks answers by them."""
    told = [{name: entry[name] for name in _TOLD if name in entry} for entry in entries]
    return estimate_tokens(json.dumps(told, ensure_ascii=False, separators=(",", ":")))
