"""A server says where it listens, owns its folder, and stops in order; stdio joins it, or becomes it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager

import pytest
from mcp import Client, StdioServerParameters

from tests.server.office import COMMAND, ROOT, Office, say


@contextmanager
def serve(*options: str) -> Generator[tuple[str, subprocess.Popen[str]]]:
    """A server in a process of its own: the URL that it printed."""
    with subprocess.Popen(
        [*COMMAND, "serve", *options], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_server_says_where_it_listens_and_stops_in_order(office: Office, stop: signal.Signals) -> None:
    with serve("--port", "0") as (url, process):
        assert url.startswith("http://127.0.0.1:")
        assert url.endswith("/mcp")
        assert office.say("agent", "list").code == 0
        second = office.say("serve", "--port", "0", by="")
        assert second.code == 3
        assert f"owned by process {process.pid} at {url.removesuffix('/mcp')}" in second.err
        process.send_signal(stop)
        _, complained = process.communicate(timeout=60)
    assert process.returncode == 0, complained
    assert "Bailiwick has stopped." in complained
    assert "Traceback" not in complained
    assert not office.folder.owner_file.exists()


def test_a_port_in_use_is_one_sentence(office: Office) -> None:
    with office.served() as (url, _):
        port = url.rsplit(":", 1)[1].removesuffix("/mcp")
        said = say("serve", "--port", port)
    assert said.code == 3
    assert f"Port {port} on 127.0.0.1 cannot be used" in said.err


def test_an_address_of_another_machine_is_refused(office: Office) -> None:
    assert say("serve", "--host", "192.0.2.1", "--port", "0").code == 3
    assert "is no address" in say("serve", "--host", "no such host", "--port", "0").err


def test_a_broken_catalogue_keeps_a_server_from_starting(office: Office) -> None:
    (office.folder.catalogue_dir / "desk.yaml").write_text("upstream: desk\n")
    said = say("serve", "--port", "0")
    assert said.code == 2
    assert "desk.yaml:" in said.err
    assert not office.folder.owner_file.exists()


def stdio_of(office: Office) -> StdioServerParameters:
    env = {**os.environ, "BAILIWICK_AGENT_KEY": office.bot_key}
    return StdioServerParameters(command=COMMAND[0], args=[*COMMAND[1:], "stdio"], cwd=ROOT, env=env)


async def tools_over_stdio(office: Office, mode: str) -> list[str]:
    async with Client(stdio_of(office), mode=mode) as client:  # type: ignore[arg-type]
        names = [tool.name for tool in (await client.list_tools()).tools]
        given = {
            "workflow": "refund",
            "input": {"order_id": "o-1001", "request": "x"},
            "idempotency_key": "one",
        }
        opened = await client.call_tool("open_run", given)
        assert opened.structured_content is not None
        assert opened.structured_content["code"] == "done", opened
        # While this process owns the folder, people reach it through it.
        assert len(office.say("run", "list", "--json").json) == 1
        return names


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_stdio_joins_the_server_that_owns_the_folder(office: Office, mode: str) -> None:
    office.bring_the_desk()
    with office.served():
        assert "use_tool" in await tools_over_stdio(office, mode)


async def test_stdio_becomes_the_owner_when_nobody_is(office: Office) -> None:
    office.bring_the_desk()
    assert "use_tool" in await tools_over_stdio(office, "auto")
    assert not office.folder.owner_file.exists()


@pytest.mark.parametrize(
    ("key", "code", "sentence"),
    [
        (None, 2, "No agent speaks here"),
        ("junk", 2, "The agent key is malformed"),
        ("bwk_00000000000000000000000000", 1, "is not known here, or was revoked"),
    ],
)
def test_stdio_needs_an_agents_key(
    office: Office, monkeypatch: pytest.MonkeyPatch, key: str | None, code: int, sentence: str
) -> None:
    if key is not None:
        monkeypatch.setenv("BAILIWICK_AGENT_KEY", key)
    said = say("stdio")
    assert said.code == code
    assert sentence in said.err


def test_an_agent_key_file_is_read_only_when_it_is_private(office: Office) -> None:
    path = office.root.parent / "bot.key"
    path.write_text("junk\n")
    path.chmod(0o644)
    assert "run `chmod 600" in say("stdio", "--agent-key-file", path).err
    path.chmod(0o600)
    assert "malformed" in say("stdio", "--agent-key-file", path).err
    assert "cannot be read" in say("stdio", "--agent-key-file", path.with_name("nope")).err
