"""What operators see: health, readiness, metrics under their documented names, and logs without secrets."""

from __future__ import annotations

import json
import logging
import re
import shutil
import sys
from collections.abc import AsyncGenerator, Mapping

import httpx2
import pytest

from ledger.errors import LedgerUnavailable
from server.log_lines import JsonLines, TextLines
from server.metrics import Metrics
from tests.house.tree import ROOT
from tests.rooms.stage import Room, Stage, served

TOKEN = "scrape-" + "x" * 16
AS_SCRAPER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
async def watched(founded: Stage, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Room]:
    root = tmp_path_factory.mktemp("watched") / "data"
    shutil.copytree(founded.folder.root, root)
    async with served(founded.moved(root), metrics_token=TOKEN) as room:
        yield room


async def got(room: Room, path: str, headers: Mapping[str, str] | None = None) -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False) as http:
        return await http.get(room.url.removesuffix("/mcp") + path, headers=headers)


async def value(room: Room, series: str) -> float:
    text = (await got(room, "/metrics", AS_SCRAPER)).text
    found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.M)
    return 0.0 if found is None else float(found[1])


async def test_the_docs_list_every_metric_and_no_other(watched: Room) -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    documented = re.findall(r"^\| `(bailiwick_\w+)` \|(.*?)\|", page, re.M)
    assert sorted(name for name, _ in documented) == sorted(Metrics(watched.house, "1").names())
    labels = {name: set(re.findall(r"`(\w+)`", told)) for name, told in documented}
    _, key = await watched.agent()
    async with watched.peer(key) as peer:
        await peer.open("change")
    text = (await got(watched, "/metrics", AS_SCRAPER)).text
    for name, found in re.findall(r"^(bailiwick_\w+?)(?:_bucket|_sum|_count)?\{(.*?)\}", text, re.M):
        assert set(re.findall(r"(\w+)=", found)) - {"le"} == labels[name], name


async def test_calls_are_counted_by_tool_and_code(watched: Room, era: str) -> None:
    _, key = await watched.agent()
    series = 'bailiwick_calls_total{code="approval_required",tool="shop__change_item"}'
    other = 'bailiwick_calls_total{code="unknown_tool",tool="other"}'
    before, unknown = await value(watched, series), await value(watched, other)
    async with watched.peer(key, era) as peer:
        run = await peer.open("change")
        await peer.use(run, "shop__change_item", item_id="i-1", price=5)
        for number in range(3):
            await peer.use(run, f"made-up-{number}")
    assert await value(watched, series) == before + 1
    assert await value(watched, other) == unknown + 3
    assert await value(watched, "bailiwick_requests_under_way") == 0
    assert await value(watched, 'bailiwick_approval_requests{state="pending"}') >= 1
    assert await value(watched, 'bailiwick_upstream_up{upstream="shop"}') == 1


async def test_no_label_holds_what_a_caller_made_up_or_who_called(watched: Room) -> None:
    name, key = await watched.agent(name="very-private-bot")
    async with watched.peer(key) as peer:
        run = await peer.open("change")
        await peer.call("made_up_tool")
        await peer.use(run, 'x"} 1\nbailiwick_forged 1')
    async with httpx2.AsyncClient(trust_env=False) as http:
        await http.post(watched.url, json={}, headers={"authorization": "Bearer junk"})
    text = (await got(watched, "/metrics", AS_SCRAPER)).text
    for private in (name, run, "made_up_tool", "forged", "junk", "olga"):
        assert private not in text
    assert await value(watched, 'bailiwick_http_refused_total{why="invalid_token"}') >= 1


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}],
    ids=["none", "wrong", "bare"],
)
async def test_metrics_need_their_token(watched: Room, headers: dict[str, str]) -> None:
    answer = await got(watched, "/metrics", headers)
    assert answer.status_code == 401
    assert "bailiwick_" not in answer.text


async def test_an_agents_key_reads_no_metrics_and_without_the_setting_there_are_none(
    watched: Room, room: Room
) -> None:
    _, key = await watched.agent()
    assert (await got(watched, "/metrics", {"authorization": f"Bearer {key}"})).status_code == 401
    assert (await got(room, "/metrics", AS_SCRAPER)).status_code == 404


async def test_a_server_is_ready_until_its_ledger_cannot_be_read(
    watched: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await got(watched, "/readyz")).json() == {"status": "ready", "because": []}

    def gone(_ledger: object, _work: object) -> None:
        raise LedgerUnavailable("it is gone")

    with monkeypatch.context() as patch:
        patch.setattr(type(watched.house.ledger), "read", gone)
        answer = await got(watched, "/readyz")
        assert (answer.status_code, answer.json()["because"]) == (503, ["ledger"])
        assert (await got(watched, "/healthz")).status_code == 200
        assert "bailiwick_ledger_up 0.0" in (await got(watched, "/metrics", AS_SCRAPER)).text
    assert (await got(watched, "/readyz")).status_code == 200


SAID = {
    "a key": "bwk_" + "0" * 26,
    "a pass": "bwp_" + "a" * 26,
    "an approval": "apr_" + "B" * 26,
    "a bearer": "authorization: Bearer whatever-it-is",
    "a token": "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl",
    "a database": "postgresql+psycopg://bailiwick:pa%20ss@db.example/ledger",
    "a private key": "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQ\n-----END PRIVATE KEY-----",
}


@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
@pytest.mark.parametrize("lines", [JsonLines(), TextLines()], ids=["json", "text"])
def test_case_29_a_secret_that_is_logged_is_not_written(lines: logging.Formatter, said: str) -> None:
    try:
        raise ValueError(f"it failed with {said}")
    except ValueError:
        error = sys.exc_info()
    record = logging.LogRecord("here", logging.ERROR, "x.py", 1, "upstream said %s", (said,), error)
    written = lines.format(record)
    kept = ("authorization", "Bearer", "postgresql+psycopg", "db.example", "ledger", "bailiwick", "key")
    for word in re.split(r"[\s:/@]+", said):
        if word and word not in kept and "PRIVATE" not in word and "-----" not in word:
            assert word not in written
    assert written.count("[secret]") >= 2
    if isinstance(lines, JsonLines):
        assert "\n" not in written
        assert json.loads(written).keys() == {"time", "level", "logger", "message", "error"}
