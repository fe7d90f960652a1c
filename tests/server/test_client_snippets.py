"""What the README tells people to put into their clients works as it stands, with a URL and a key put in."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from tests.server.office import COMMAND, ROOT, Office

README = (ROOT / "README.md").read_text()
SNIPPETS: list[dict[str, Any]] = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", README, re.S)]


async def tools_at(url: str, headers: dict[str, str], key: str) -> list[str]:
    told = {name: value.replace("bwk_…", key) for name, value in headers.items()}
    assert key in str(told)
    async with (
        httpx2.AsyncClient(headers=told, trust_env=False) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        return [tool.name for tool in (await client.list_tools()).tools]


async def test_the_json_for_clients_over_http(office: Office) -> None:
    (server,) = (one["servers"]["bailiwick"] for one in SNIPPETS if "servers" in one)
    assert server["type"] == "http"
    with office.served() as (url, _):
        there = re.sub(r":\d+/", f":{url.split(':')[2].split('/')[0]}/", server["url"])
        assert there == url
        assert "use_tool" in await tools_at(there, server["headers"], office.bot_key)


async def test_the_command_for_claude_code(office: Office) -> None:
    (line,) = re.findall(r"^claude mcp add .*$", README, re.M)
    words = shlex.split(line)
    assert words[:6] == ["claude", "mcp", "add", "--transport", "http", "bailiwick"]
    name, _, value = words[words.index("--header") + 1].partition(": ")
    with office.served() as (url, _):
        assert words[6].endswith("/mcp")
        assert "use_tool" in await tools_at(url, {name: value}, office.bot_key)


async def test_the_json_for_clients_over_stdio(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    (told,) = (one["mcpServers"]["bailiwick"] for one in SNIPPETS if "mcpServers" in one)
    assert told["command"] == "bailiwick"
    monkeypatch.delenv("BAILIWICK_DATA")
    arguments = [word.replace("DIR", str(office.root)) for word in told["args"]]
    env = {name: value.replace("bwk_…", office.bot_key) for name, value in told["env"].items()}
    started = StdioServerParameters(command=COMMAND[0], args=[*COMMAND[1:], *arguments], cwd=ROOT, env=env)
    async with Client(started) as client:
        assert "use_tool" in [tool.name for tool in (await client.list_tools()).tools]
