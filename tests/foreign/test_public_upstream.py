"""A public MCP server that nobody here wrote: what it writes is approved first, and written once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from server.demo.agent import Connection, connected
from tests.foreign.newcomer import Newcomer, Said

pytestmark = pytest.mark.npx

NOTE = """\
workflow: note
version: 1
purpose: Look into the shop's folder and write one note there.
input:
  type: object
  properties: {request: {type: string}}
  required: [request]
  additionalProperties: false
start: look
steps:
  look:
    kind: read
    purpose: See what is in the folder.
    tools: [files__list_directory, files__read_text_file]
    next: [write]
  write:
    kind: execute
    purpose: Write the note that people approved.
    tools: [files__write_file]
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "hours.txt").write_text("We are open from 9 to 5.\n")
    return folder


@pytest.fixture
def added(newcomer: Newcomer, filesystem_server: list[str], shop: Path) -> Said:
    """What `upstream add` said. Where this machine needs its own certificates, npx is told of them."""
    certificates = os.environ.get("NODE_EXTRA_CA_CERTS")
    env = ["--env", f"NODE_EXTRA_CA_CERTS={certificates}"] if certificates else []
    return newcomer.say("upstream", "add", "files", *env, "--", *filesystem_server, shop)


def test_a_drafted_catalogue_shows_what_was_found_and_offers_nothing(newcomer: Newcomer, added: Said) -> None:
    assert added.code == 0, added.err
    assert added.out.startswith("files\n")
    file = newcomer.data / "catalogue" / "files.yaml"
    views = newcomer.say("upstream", "list", "--json").json[0]["views"]
    assert {view["tool"] for view in views} >= {"list_directory", "read_text_file", "write_file"}
    assert all(view["hidden"] and view["effect"] == "write" for view in views)
    assert all(view["tool"] in added.out for view in views)
    assert str(file) in added.err
    assert "bailiwick workflow check" in added.err
    assert all(len(line) <= 110 for line in file.read_text("utf-8").splitlines() if line.strip()[:1] == "#")
    newcomer.write_workflow("note", NOTE)
    refused = newcomer.say("workflow", "check", by=None)
    assert refused.code == 2
    assert "files__list_directory, which the catalogue does not offer" in refused.complaint


async def test_a_file_is_written_once_and_only_as_it_was_approved(
    newcomer: Newcomer, added: Said, shop: Path
) -> None:
    assert added.code == 0, added.err
    judge_the_tools(newcomer.data / "catalogue" / "files.yaml")
    newcomer.write_workflow("note", NOTE)
    assert newcomer.say("workflow", "check", by=None).code == 0
    key = newcomer.say("agent", "add", "bot").line
    note = shop / "note.txt"
    write = {"path": str(note), "content": "We close at 5.\n"}
    with newcomer.served() as server:
        async with connected(server.url, key) as desk:
            run = await look(desk, shop, write)
            refused = await use(desk, run, write)
            assert refused["code"] == "approval_required"
            assert not note.exists()
            request, token = refused["approval"]["request"], refused["approval"]["approval_token"]
            assert (await use(desk, run, write, token))["code"] == "approval_pending"
            shown = newcomer.say("approval", "show", request, by="rob").out
            assert f"files__write_file on file:{note}" in shown
            assert r'content  "We close at 5.\n"' in shown
            assert newcomer.say("approval", "approve", request, by="rob").line == request
            other = await use(desk, run, {**write, "content": "We close at 6.\n"}, token)
            assert other["code"] == "approval_mismatch"
            assert not note.exists()
            done = await use(desk, run, write, token)
            assert (done["code"], done["status"]) == ("done", "succeeded")
            assert note.read_text() == "We close at 5.\n"
            note.write_text("Changed by hand.\n")
            again = await use(desk, run, write, token)
            assert again["code"] == "approval_spent"
            assert (again["execution"], again["status"]) == (done["execution"], "succeeded")
            assert note.read_text() == "Changed by hand.\n"
        kinds = [
            entry["kind"] for entry in newcomer.say("run", "trace", run, "--json", by="rob").json["entries"]
        ]
    assert kinds.count("execution.begun") == kinds.count("execution.settled") == 1
    assert newcomer.say("audit", "verify", by=None).code == 0
    assert names_in(shop) == ["hours.txt", "note.txt"]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def judge_the_tools(file: Path) -> None:
    """What an admin does in an editor: two tools only read, and one writes the file that it names."""
    text = file.read_text("utf-8")
    for tool in ("list_directory", "read_text_file"):
        text = edited(text, tool, "effect: read\n    hidden: false")
    text = edited(text, "write_file", 'effect: write\n    hidden: false\n    target: "file:{path}"')
    file.write_text(text, "utf-8")


def edited(text: str, tool: str, said: str) -> str:
    drafted = f"  {tool}:\n    effect: write\n    hidden: true"
    assert text.count(drafted) == 1, tool
    return text.replace(drafted, f"  {tool}:\n    {said}")


async def look(desk: Connection, shop: Path, write: dict[str, str]) -> str:
    """Open a run and walk its first step, in which the writing tool does not exist; the run."""
    run: str = (await desk.call("open_run", workflow="note", input={"request": "Say when we close."})).body[
        "run"
    ]
    hours = {"path": str(shop / "hours.txt")}
    seen = await desk.call("use_tool", run_id=run, tool="files__read_text_file", arguments=hours)
    assert seen.code == "done"
    assert (await use(desk, run, write))["code"] == "unknown_tool"
    envelope: dict[str, Any] = {
        "step": "look",
        "status": "done",
        "confidence": 0.9,
        "evidence": [{"source": seen.body["observation"], "quote": "open from 9 to 5"}],
        "proposed_action": None,
        "reason": "The hours are known.",
        "state": {},
    }
    ended = await desk.call("submit_step", run_id=run, envelope=envelope)
    assert ended.code == "done"
    return run


async def use(desk: Connection, run: str, write: dict[str, str], token: str | None = None) -> dict[str, Any]:
    carried = {} if token is None else {"approval_token": token}
    said = await desk.call("use_tool", run_id=run, tool="files__write_file", arguments=write, **carried)
    return said.body
