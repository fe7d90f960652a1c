"""Bad input at the real command line and over real HTTP: one sentence, a documented code, nothing half done.

What a command makes of its own arguments stands with the command line's tests; here are files, folders and
requests that are wrong as a whole.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from policies.codes import CODES
from server.demo.agent import connected
from tests.foreign.conftest import copy_of
from tests.foreign.newcomer import Newcomer

ASK = """\
workflow: ask
version: 1
purpose: Find out what a text says.
input: {type: object, properties: {request: {type: string}}, required: [request], additionalProperties: false}
start: read
steps:
  read:
    kind: read
    purpose: Read it.
    context: {need: "{request}"}
"""

WORKFLOWS = [
    # what is changed, into what, the line, what the sentence says
    (ASK, "", "", "is empty"),
    (ASK, "- a list\n", ":1", "holds no mapping of keys to values"),
    (ASK, "\tworkflow: ask\n", ":1", "is not well-formed YAML"),
    (ASK, "workflow: a\x00sk\n", ":1", "holds a character that YAML does not allow"),
    (ASK, "workflow: &all [*all]\n", ":1", "recursive"),
    (ASK, "workflow: ask\nworkflow: ask\n", ":2", "stands twice"),
    ("workflow: ask", "workflow: other", ":1", "the file of other has to be other.yaml"),
    ("kind: read", "kind: think", ":8", "'read', 'classify', 'plan', 'draft' or 'execute'"),
    ("purpose: Read it.", "porpoise: Read it.", ":9", "nobody knows this key"),
    ("start: read", "start: begin", ":5", "start names no step: begin; the steps are read"),
    (
        '{need: "{request}"}',
        '{need: "{request}"}\n    next: [gone]',
        ":11",
        "goes on to gone, which is no step",
    ),
    ('{need: "{request}"}', '{need: "{request}"}\n    tools: [nobody__knows]', ":11", "does not offer"),
    ("{request}", "{secret}", ":10", "asks for {secret}, which nothing provides"),
    ("{request}", "{", ":10", "a brace that stands alone"),
    ("{request}", "{request:>99999999}", ":10", "holds more than a name"),
    ("{request}", "{}", ":10", "holds more than a name"),
    ("type: string", "type: strin", ":4", "is no valid JSON Schema"),
    ("type: string", "$ref: 'http://127.0.0.1:9/schema.json'", ":4", "is no valid JSON Schema"),
]


@pytest.mark.parametrize(("old", "new", "line", "sentence"), WORKFLOWS, ids=[row[3] for row in WORKFLOWS])
def test_a_wrong_workflow_is_refused_with_its_line(
    newcomer: Newcomer, old: str, new: str, line: str, sentence: str
) -> None:
    newcomer.write_workflow("ask", ASK.replace(old, new, 1))
    said = newcomer.say("workflow", "check", by=None)
    assert said.code == 2
    assert said.complaint.startswith(f"{newcomer.data}/workflows/ask.yaml{line}: ")
    assert sentence in said.complaint


def test_no_server_starts_on_a_wrong_workflow_and_none_of_it_is_kept(newcomer: Newcomer) -> None:
    before = names_in(newcomer.data)
    for change, sentence in (("tools: [nobody__knows]", "does not offer"), ("next: [gone]", "is no step")):
        newcomer.write_workflow("ask", f"{ASK}    {change}\n")
        said = newcomer.say("serve", "--port", "0", by=None)
        assert said.code == 2
        assert sentence in said.complaint
    assert names_in(newcomer.data) == sorted([*before, "workflows/ask.yaml"])


UPSTREAM = "upstream: x\ntransport: stdio\ncommand: [x]\n"
CATALOGUES = [
    ("", "is empty"),
    ("upstream: x\n", ":1: transport: is missing"),
    (UPSTREAM + "tools: {a: {effect: maybe}}\n", ":4: tools.a"),
    (UPSTREAM + "tools: {a: {effect: write}}\n", ":4: tools.a: says nothing of what this write acts on"),
    (UPSTREAM + "tools: {open_run: {effect: read}}\n", ":4: tools.open_run: this name belongs to the desk"),
    (UPSTREAM.replace("upstream: x", "upstream: y"), ":1: upstream: the file of y is y.yaml"),
    ("upstream: x\ntransport: http\nurl: 'http://['\n", ":3: url: this is no address"),
    (
        "upstream: x\ntransport: http\nurl: https://me:secret@example.com\n",
        ":3: url: credentials do not belong",
    ),
]


@pytest.mark.parametrize(("text", "sentence"), CATALOGUES, ids=[row[1] for row in CATALOGUES])
def test_a_wrong_catalogue_is_refused_with_its_line(newcomer: Newcomer, text: str, sentence: str) -> None:
    file = newcomer.data / "catalogue" / "x.yaml"
    file.write_text(text, "utf-8")
    said = newcomer.say("workflow", "check", by=None)
    assert said.code == 2
    assert said.complaint.startswith(str(file))
    assert sentence in said.complaint
    assert "secret" not in said.complaint
    assert file.read_text("utf-8") == text


def test_neither_a_server_nor_a_command_goes_on_with_a_wrong_catalogue(newcomer: Newcomer) -> None:
    (newcomer.data / "catalogue" / "x.yaml").write_text(UPSTREAM + "tools: {a: {effect: maybe}}\n")
    for words, by in (
        (("serve", "--port", "0"), None),
        (("upstream", "list"), "ada"),
        (("upstream", "diff", "x"), "ada"),
    ):
        said = newcomer.say(*words, by=by)
        assert said.code == 2
        assert "x.yaml:4: tools.a" in said.complaint


def test_a_source_that_cannot_be_read_keeps_nothing(newcomer: Newcomer) -> None:
    place = newcomer.place
    (place / "loop.md").symlink_to(place / "loop.md")
    os.mkfifo(place / "pipe.md")
    (place / "endless.md").symlink_to("/dev/zero")
    (place / "huge.md").write_text("word " * 1_200_000)
    (place / "good.md").write_text("# Good\n\nA good rule.\n")
    for name, sentence in (
        ("loop.md", "cannot be read"),
        ("good.md/x.md", "cannot be read"),
        ("pipe.md", "is not a regular file"),
        ("endless.md", "is not a regular file"),
        ("huge.md", "is larger than 5 MiB"),
    ):
        # A good file beside it is not taken either.
        said = newcomer.say("source", "add", place / "good.md", place / name)
        assert said.code == 2
        assert said.complaint.startswith(str(place / name))
        assert sentence in said.complaint
    assert newcomer.say("source", "list", "--json").json == []


@pytest.mark.parametrize(
    ("where", "code", "sentence"),
    [
        ("full", 1, "is not empty and no data folder"),
        ("file", 2, "is a file; name a folder"),
        ("file/below", 3, "cannot be made"),
        ("data", 1, "is a data folder already"),
    ],
)
def test_a_folder_is_not_made_where_something_is(
    newcomer: Newcomer, where: str, code: int, sentence: str
) -> None:
    (newcomer.place / "full").mkdir()
    (newcomer.place / "full" / "mine.txt").write_text("mine")
    (newcomer.place / "file").write_text("mine")
    before = names_in(newcomer.place)
    said = newcomer.say("init", "--data", newcomer.place / where, by=None)
    assert said.code == code
    assert sentence in said.complaint
    assert names_in(newcomer.place) == before


def test_what_is_no_data_folder_is_said_to_be_none(newcomer: Newcomer) -> None:
    for words in (("run", "list"), ("serve", "--port", "0"), ("source", "add", newcomer.place / "x.md")):
        said = newcomer.say(*words, "--data", newcomer.place, by=None)
        assert said.code == 2
    assert "is no data folder of Bailiwick" in newcomer.say("run", "list", "--data", newcomer.place).complaint


def test_a_folder_that_a_command_is_at_work_on_is_waited_for_and_then_named(newcomer: Newcomer) -> None:
    with (newcomer.data / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        owner = {"pid": os.getpid(), "url": None, "instance": "", "started": "2026-01-01T00:00:00.000Z"}
        (newcomer.data / "owner.json").write_text(json.dumps(owner))
        for words in (("serve", "--port", "0"), ("run", "list")):
            said = newcomer.say(*words, by="ada" if words[0] == "run" else None)
            assert said.code == 3
            assert f"is owned by process {os.getpid()}" in said.complaint
    assert newcomer.say("run", "list").code == 0


def test_an_owner_that_does_not_answer_is_said_to(newcomer: Newcomer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with (newcomer.data / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        owner = {
            "pid": 1,
            "url": f"http://127.0.0.1:{port}",
            "instance": "",
            "started": "2026-01-01T00:00:00.000Z",
        }
        (newcomer.data / "owner.json").write_text(json.dumps(owner))
        said = newcomer.say("run", "list")
    assert said.code == 3
    assert f"127.0.0.1:{port}" in said.complaint


@pytest.mark.parametrize(
    ("name", "code"),
    [("keys/ring.json", 3), ("ledger.sqlite3", 3), ("knowledge.duckdb", 3), ("folder.json", 2)],
)
def test_a_damaged_part_of_the_folder_is_named_and_left_as_it_is(
    newcomer: Newcomer, name: str, code: int
) -> None:
    damaged = newcomer.data / name
    damaged.write_bytes(b"junk, and long enough to be looked at " * 100)
    damaged.chmod(0o600)
    for words, by in ((("source", "list"), "ada"), (("serve", "--port", "0"), None)):
        said = newcomer.say(*words, by=by)
        assert said.code == code
        assert damaged.name in said.complaint
    assert damaged.read_bytes().startswith(b"junk")


@pytest.mark.parametrize(
    ("words", "environment", "sentence"),
    [
        (("serve", "--port", "70000"), {}, "mend the option --port"),
        (("serve",), {"BAILIWICK_PORT": "many"}, "mend the variable BAILIWICK_PORT"),
        (("serve", "--log-level", "loud"), {}, "log"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(
    newcomer: Newcomer, words: tuple[str, ...], environment: dict[str, str], sentence: str
) -> None:
    said = newcomer.say(*words, by=None, **environment)
    assert said.code == 2
    assert sentence in said.complaint


@pytest.fixture(scope="module")
def asked(settled: Newcomer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A server with one workflow: its URL and an agent's key."""
    own = copy_of(settled, tmp_path_factory.mktemp("asked") / "own")
    own.write_workflow("ask", ASK)
    key = own.say("agent", "add", "bot").line
    with own.served() as server:
        yield server.url, key


def request(
    url: str,
    key: str | bytes,
    *,
    method: str = "POST",
    path: str = "",
    content: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> httpx2.Response:
    """One raw request, right but for what is said; bytes are the whole Authorization header."""
    right = {
        b"authorization": key if isinstance(key, bytes) else f"Bearer {key}".encode(),
        b"content-type": b"application/json",
        b"accept": b"application/json, text/event-stream",
        b"mcp-protocol-version": b"2026-07-28",
        b"mcp-method": b"tools/list",
    }
    changed = {name.encode(): value.encode() for name, value in (headers or {}).items()}
    body = LIST_TOOLS if content is None else content
    return httpx2.request(method, url + path, headers={**right, **changed}, content=body, timeout=20)


LIST_TOOLS = json.dumps(
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/list",
        "params": {
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            }
        },
    }
).encode()


@pytest.mark.parametrize(
    "credential",
    [
        b"",
        b"Bearer",
        b"Bearer nonsense",
        b"Basic YTpi",
        b"Bearer bwk_00000000000000000000000000",
        b"Bearer bwp_00000000000000000000000000",
        b"Bearer apr_00000000000000000000000000",
        "Bearer bwk_éé".encode(),
        b"Bearer " + b"x" * 8_000,
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_malformed_credential_is_answered_401(asked: tuple[str, str], credential: bytes) -> None:
    answer = request(asked[0], credential)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert answer.json()["error"] == "invalid_token"
    assert request(asked[0], asked[1]).status_code == 200


REQUESTS: list[tuple[dict[str, Any], int]] = [
    ({"content": b""}, 400),
    ({"content": b"{"}, 400),
    ({"content": b"null"}, 400),
    ({"content": b"\xff\xfe"}, 400),
    ({"content": b"[" * 5_000}, 400),
    ({"content": b'{"jsonrpc":"2.0","id":1}'}, 400),
    ({"content": b'{"a":' + b"1" * 5_000 + b"}"}, 400),
    ({"content": b"x" * 1_100_000}, 413),
    ({"method": "PUT"}, 405),
    ({"path": "/nope/read"}, 404),
    ({"path": "/ask/nope"}, 404),
    ({"path": "/../../etc"}, 404),
    ({"headers": {"content-type": "text/plain"}}, 400),
    ({"headers": {"accept": "text/html"}}, 406),
    ({"headers": {"host": "evil.example"}}, 421),
    ({"headers": {"origin": "http://evil.example"}}, 403),
    ({"headers": {"mcp-protocol-version": "1999-01-01"}}, 400),
    *[
        ({"content": content, "headers": {"mcp-protocol-version": "2025-11-25"}}, 400)
        for content in (
            b"[]",
            b"null",
            b"[" + LIST_TOOLS + b"]",
            b'{"jsonrpc":"1.0","id":1,"method":"tools/list"}',
            b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":5}',
            b'{"jsonrpc":"2.0","id":[],"method":"tools/list"}',
            b'{"jsonrpc":"2.0","id":1}',
        )
    ],
]


@pytest.mark.parametrize(("changed", "status"), REQUESTS, ids=lambda value: str(value)[:50])
def test_a_malformed_request_is_refused_and_the_server_goes_on(
    asked: tuple[str, str], changed: dict[str, Any], status: int
) -> None:
    url, key = asked
    answer = request(url, key, **changed)
    assert answer.status_code == status
    assert "Traceback" not in answer.text
    assert 'File "' not in answer.text
    assert "pydantic" not in answer.text
    assert request(url, key).status_code == 200


RUN = "run_00000000000000000000000000"
CALLS: list[tuple[str, dict[str, Any], str]] = [
    ("open_run", {}, "invalid_arguments"),
    ("open_run", {"workflow": "nope", "input": {}}, "invalid_arguments"),
    ("open_run", {"workflow": "ask", "input": {}}, "invalid_arguments"),
    ("open_run", {"workflow": "ask", "input": {"request": 3}}, "invalid_arguments"),
    (
        "open_run",
        {"workflow": "ask", "input": {"request": "x"}, "idempotency_key": "k" * 300},
        "invalid_arguments",
    ),
    ("current_step", {}, "invalid_arguments"),
    ("current_step", {"run_id": RUN}, "unknown_tool"),
    ("current_step", {"run_id": "../../etc/passwd"}, "unknown_tool"),
    ("current_step", {"run_id": "x" * 100_000}, "unknown_tool"),
    ("read_context", {"run_id": RUN}, "unknown_tool"),
    ("read_context", {"run_id": None, "need": "x"}, "invalid_arguments"),
    ("read_context", {"run_id": ..., "need": "x" * 9_000}, "invalid_arguments"),
    ("cite", {"run_id": ..., "source": "policy@1:5-1"}, "unknown_tool"),
    ("cite", {"run_id": ..., "source": "policy@99999999999999999999:0-1"}, "unknown_tool"),
    ("verify_quotes", {"run_id": ..., "quotes": "x"}, "invalid_arguments"),
    ("use_tool", {"run_id": ..., "tool": "nope", "approval_token": "apr_nonsense"}, "unknown_tool"),
    ("use_tool", {"run_id": ..., "tool": "nope", "arguments": {"approval_token": 5}}, "invalid_arguments"),
    ("see_approval", {"run_id": ..., "request": "req_nope"}, "unknown_tool"),
    ("submit_step", {"run_id": ..., "envelope": {}}, "envelope_refused"),
    ("submit_step", {"run_id": ..., "envelope": {"step": "other"}}, "envelope_refused"),
    ("propose_source", {"run_id": ..., "title": "", "text": ""}, "invalid_arguments"),
    ("propose_source", {"run_id": ..., "title": "T", "text": "a\x00b"}, "invalid_arguments"),
]


async def test_a_call_that_cannot_be_served_gets_its_code_and_nothing_is_done(asked: tuple[str, str]) -> None:
    url, key = asked
    async with connected(url, key) as desk:
        for tool, given, code in CALLS:
            opened = await desk.call("open_run", workflow="ask", input={"request": "x"})
            run: str = opened.body["run"]
            said = await desk.call(
                tool, **{name: run if value is ... else value for name, value in given.items()}
            )
            assert said.code == code, (tool, given, said)
            assert said.body["message"] == CODES[code].message
            step = (await desk.call("current_step", run_id=run)).body
            assert (step["step"], step["epoch"], step["status"]) == ("read", 1, "open")
        said = await desk.call("no_such_tool")
        assert said.error == "-32602 Unknown tool: no_such_tool"


def names_in(folder: Path) -> list[str]:
    """What lies below a folder; a lock stays once somebody held it, and says nothing."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.name != ".lock")
