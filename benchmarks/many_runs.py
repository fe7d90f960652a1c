"""A thousand open runs, fifty agents that call at once, one server: is every answer of its own run?

Each run is about an item of its own, which its tool is bound to: an agent cannot name an item, so an answer
about another one could only come from another run. Each agent goes through its runs in turn, half of the
calls at the desk and half at the step's URL. Then it asks for what it may not have: a run of another agent,
an observation of another run of its own, a tool that is not in the step. Every answer is checked, and at the
end the log has to hold exactly one record of each call, in the run that it was made in. The peer is a bare
proxy with as many clients in front of the same upstream; it knows no runs, and is told the item.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.calls import Call, WrongAnswer
from benchmarks.installation import Installation, found_with_agents
from benchmarks.processes import Loader, free_port, loader, server
from benchmarks.registry import Extent
from benchmarks.rounds import Rounds, in_turn
from benchmarks.rows import Row
from benchmarks.upstream import READ, TOOLS, content_of
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from server.data_folder import DataFolder, open_folder
from server.open_ledger import open_ledger
from tool_scopes.catalogue_files import parse_upstream
from tool_scopes.upstream.tools import UpstreamTool, fingerprint

AGENTS = 50
RUNS = 20
"""Of each agent."""

VIEW = f"items__{READ}"
_WORKFLOW = f"""\
workflow: one_item
version: 1
purpose: Look at one item.
input: {{type: object, properties: {{item: {{type: string}}}}, required: [item], additionalProperties: false}}
start: look
steps:
  look:
    kind: read
    purpose: Find out what there is.
    tools: [{VIEW}]
"""


@dataclass(frozen=True, slots=True)
class _Run:
    """A run of one agent, and what it is about."""

    id: str
    key: str
    item: str

    def read(self, at_url: bool) -> Call:
        """The bound read: it names no item, and has to be answered with the run's own."""
        expects = {
            "structuredContent.code": "done",
            "structuredContent.result.structuredContent.item": self.item,
            "structuredContent.result.structuredContent.text": content_of(self.item),
        }
        if at_url:
            return Call(VIEW, {"run_id": self.id}, expects, "/mcp/one_item/look", self.key)
        return self.desk("use_tool", expects, tool=VIEW)

    def desk(self, tool: str, expects: Mapping[str, Any], /, **arguments: Any) -> Call:
        """A call of one of the desk's tools in this run."""
        return Call(tool, {"run_id": self.id, **arguments}, expects, bearer=self.key)


@dataclass(slots=True)
class _Told:
    """What has to stand in the log at the end."""

    answered: Counter[str]
    refused: int = 0


def measure(extent: Extent) -> list[Row]:
    """Reads of all runs by us and by the proxy in turn, then everything that must not be had."""
    timings: Rounds[bool] = Rounds()
    with tempfile.TemporaryDirectory(prefix="bailiwick-bench-") as place, ExitStack() as running:
        folder = Path(place)
        made, keys = _installed(folder)
        port, bare_port = free_port(), free_port()
        load = running.enter_context(loader())
        bare = ["proxy", "--port", str(bare_port), "--journal", str(folder / "bare.journal")]
        running.enter_context(
            server([sys.executable, "-m", "benchmarks.peers", *bare], bare_port, folder / "bare.log")
        )
        told, checked = _Told(Counter()), 0
        with ExitStack() as serving:
            serving.enter_context(server(made.serve_command(port), port, folder / "ours.log"))
            agents = _open_runs(load, port, keys)
            seen: list[dict[str, Any]] = []
            for number in range(extent.rounds + 1):
                for ours in in_turn((True, False), number):
                    calls = [_reads(runs) if ours else _bare_reads(runs) for runs in agents]
                    answered = load.send(port if ours else bare_port, calls)
                    if number:
                        timings.add(ours, answered.timings_ms)
                    if ours:
                        seen = answered.results
                        checked += len(seen)
                told.answered.update(run.id for runs in agents for run in runs)
            checked += _ask_for_what_is_not_theirs(load, port, agents, seen, told)
        _check_log(open_folder(made.data), agents, told)
    return [_timed(timings, share, word) for share, word in ((0.5, "p50"), (0.95, "p95"))] + [
        Row(
            name="many_runs",
            metric="wrong answers, of all that were checked",
            unit="answers",
            ours=0,  # one alone would have ended the measurement with its own words
            peer=checked,
            peer_name="answers checked",
            most=0,
        )
    ]


def _timed(timings: Rounds[bool], share: float, word: str) -> Row:
    return Row(
        name="many_runs",
        metric=f"read {word}, {AGENTS} agents at once, {AGENTS * RUNS} open runs",
        unit="ms",
        ours=timings.typical(True, share),
        peer=timings.typical(False, share),
        peer_name="bare pass-through proxy",
    )


def _installed(place: Path) -> tuple[Installation, list[str]]:
    """A data folder whose one tool is bound to the run's item, and the keys of its agents."""
    made, keys = found_with_agents(place, AGENTS)
    folder = open_folder(made.data)
    (folder.catalogue_dir / "items.yaml").write_text(_catalogue(place / "ours.journal"), encoding="utf-8")
    (folder.workflows_dir / "one_item.yaml").write_text(_WORKFLOW, encoding="utf-8")
    return made, keys


def _catalogue(journal: Path) -> str:
    command = json.dumps(["${PYTHON}", "-m", "benchmarks.upstream", str(journal)])
    head = f"upstream: items\ntransport: stdio\ncommand: {command}\ntools:\n"
    endpoint = parse_upstream(head + "  {}\n", path="items.yaml").upstream.endpoint
    (tool,) = (tool for tool in TOOLS if tool.name == READ)
    accepted = fingerprint(endpoint, UpstreamTool(tool.name, tool.description or "", tool.input_schema))
    return f"{head}  {READ}: {{effect: read, bound: {{item: item}}, fingerprint: '{accepted}'}}\n"


def _ledger(folder: DataFolder) -> Ledger:
    return open_ledger(folder, KeyRing.load(folder.keys_dir))


def _open_runs(load: Loader, port: int, keys: Sequence[str]) -> list[list[_Run]]:
    """Every agent's runs, opened by all agents at once."""
    items = [[f"a{agent}-r{number}" for number in range(RUNS)] for agent in range(AGENTS)]
    said = {"structuredContent.code": "done"}
    opening = [
        [Call("open_run", {"workflow": "one_item", "input": {"item": i}}, said, bearer=key) for i in own]
        for key, own in zip(keys, items, strict=True)
    ]
    opened = iter(load.send(port, opening).results)
    agents = [
        [_Run(str(next(opened)["structuredContent"]["run"]), key, item) for item in own]
        for key, own in zip(keys, items, strict=True)
    ]
    assert len({run.id for runs in agents for run in runs}) == AGENTS * RUNS
    return agents


def _reads(runs: Sequence[_Run]) -> list[Call]:
    return [run.read(at_url=bool(place % 2)) for place, run in enumerate(runs)]


def _bare_reads(runs: Sequence[_Run]) -> list[Call]:
    return [Call(READ, {"item": run.item}, {"structuredContent.item": run.item}) for run in runs]


def _ask_for_what_is_not_theirs(
    load: Loader, port: int, agents: Sequence[Sequence[_Run]], seen: Sequence[Mapping[str, Any]], told: _Told
) -> int:
    """All agents at once ask in each run for what belongs to another one; how many answers were checked."""
    observed = [str(result["structuredContent"]["observation"]) for result in seen]
    assert len(set(observed)) == AGENTS * RUNS
    told_of = [observed[place : place + RUNS] for place in range(0, len(observed), RUNS)]
    calls = [
        [
            call
            for place, run in enumerate(runs)
            for call in _attempts(run, agents[agent - 1][place], told_of[agent], place)
        ]
        for agent, runs in enumerate(agents)
    ]
    answered = load.send(port, calls)
    told.refused += AGENTS * RUNS * 3
    told.answered.update(run.id for runs in agents for run in runs)
    return len(answered.results)


def _attempts(run: _Run, theirs: _Run, own: Sequence[str], place: int) -> Iterator[Call]:
    """What is the run's own, between three attempts at what is not."""
    unknown = {"structuredContent.code": "unknown_tool", "isError": True}
    quote = {"structuredContent.code": "done", "structuredContent.quote": content_of(run.item)}
    yield Call("use_tool", {"run_id": theirs.id, "tool": VIEW}, unknown, bearer=run.key)
    yield run.desk("cite", quote, source=f"{own[place]}:0-{len(content_of(run.item))}")
    yield run.desk("cite", unknown, source=own[place - 1])
    yield run.read(at_url=True)
    yield run.desk("use_tool", unknown, tool="items__write_item")


def _check_log(folder: DataFolder, agents: Sequence[Sequence[_Run]], told: _Told) -> None:
    """One record for each answer, in the run that it was of, by that run's agent. Raises WrongAnswer."""
    with _ledger(folder) as ledger:
        report = ledger.verify()
        if not report.whole:
            raise WrongAnswer(f"the log is not whole: {report.fault}")
        answered: Counter[str] = Counter()
        owners: dict[str, set[str | None]] = {}
        for entry in ledger.entries(kinds=("call.answered",)):
            answered[str(entry.run)] += 1
            owners.setdefault(str(entry.run), set()).add(entry.principal)
        refused = sum(1 for _ in ledger.entries(kinds=("call.refused",)))
    if answered != told.answered or refused != told.refused:
        raise WrongAnswer(
            f"the log holds {answered.total()} answers and {refused} refusals, and not the same"
        )
    for number, runs in enumerate(agents):
        if any(owners[run.id] != {f"bot-{number}"} for run in runs):
            raise WrongAnswer(f"a run of bot-{number} holds an answer to somebody else")
