"""A shop's own policy, written by nobody here, and what its customers really asked: every quote is exact."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from server.demo.agent import connected
from tests.foreign.conftest import copy_of
from tests.foreign.newcomer import Newcomer

pytestmark = pytest.mark.shared_data

ASKED = 24
"""How many instructions are tried, spread evenly over the file."""

ADVISE = """\
workflow: advise
version: 1
purpose: Find what our policy says about one customer's wishes.
input:
  type: object
  properties: {request: {type: string}}
  required: [request]
  additionalProperties: false
start: read
steps:
  read:
    kind: read
    purpose: Find the rules that bear on what the customer asks.
    context: {need: "{request}", budget: 600}
    checkpoints: {evidence: []}
"""


@pytest.fixture(scope="module")
def policy(shared_data: Path) -> Path:
    return shared_data / "tau_retail" / "policy.md"


@pytest.fixture(scope="module")
def text(policy: Path) -> str:
    return policy.read_text("utf-8")


@pytest.fixture(scope="module")
def requests(shared_data: Path) -> list[str]:
    lines = (shared_data / "tau_retail" / "calls.jsonl").read_text("utf-8").splitlines()
    given = [instruction for line in lines if (instruction := json.loads(line)["instruction"])]
    return [given[at * len(given) // ASKED] for at in range(ASKED)]


@pytest.fixture(scope="module")
def advised(
    settled: Newcomer, policy: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str, Newcomer]]:
    """A server over the published policy: its URL, an agent's key, and whose it is."""
    own = copy_of(settled, tmp_path_factory.mktemp("advised") / "own")
    assert own.publish(policy) == ["policy@1"]
    own.write_workflow("advise", ADVISE)
    key = own.say("agent", "add", "bot").line
    with own.served() as server:
        yield server.url, key, own


async def test_every_quote_for_a_real_request_is_an_exact_span_of_the_file(
    advised: tuple[str, str, Newcomer],
    text: str,
    requests: list[str],
    record_property: Callable[[str, object], None],
) -> None:
    url, key, own = advised
    stored: str = own.say("source", "show", "policy@1", "--json").json["text"]
    found: Counter[str] = Counter()
    async with connected(url, key) as desk:
        for request in requests:
            run = (await desk.call("open_run", workflow="advise", input={"request": request})).body["run"]
            bundle = (await desk.call("read_context", run_id=run)).body
            assert bundle["need"] == request
            assert bundle["budget"]["used"] <= bundle["budget"]["tokens"] == 600
            assert (bundle["items"] == []) == (bundle["sufficiency"] == "insufficient")
            found[bundle["sufficiency"]] += 1
            for item in bundle["items"]:
                start, end = span_of(item["id"])
                assert text[start:end] == item["quote"] == stored[start:end]
                cited = await desk.call("cite", run_id=run, source=item["id"])
                assert cited.body["quote"] == item["quote"]
                assert cited.body["standing"] == "current"
    print(f"of {len(requests)} requests: {dict(found)}")
    record_property("sufficiency", dict(found))
    assert found["sufficient"] > 0
    assert set(found) <= {"sufficient", "insufficient"}


async def test_the_same_need_gives_the_same_bundle_and_a_curator_finds_it_again(
    advised: tuple[str, str, Newcomer],
) -> None:
    url, key, own = advised
    bundles: list[dict[str, Any]] = []
    async with connected(url, key) as desk:
        for _ in range(2):
            opened = await desk.call(
                "open_run", workflow="advise", input={"request": "May I return an order?"}
            )
            bundles.append((await desk.call("read_context", run_id=opened.body["run"])).body)
    assert bundles[0] == bundles[1]
    assert bundles[0]["items"]
    kept = own.say("bundle", "show", bundles[0]["bundle"], "--json").json
    assert kept["items"] == bundles[0]["items"]


async def test_a_step_ends_with_an_exact_quote_and_not_with_one_that_is_a_letter_off(
    advised: tuple[str, str, Newcomer],
) -> None:
    url, key, own = advised
    async with connected(url, key) as desk:
        opened = await desk.call("open_run", workflow="advise", input={"request": "May I return an order?"})
        run = opened.body["run"]
        quote = (await desk.call("read_context", run_id=run)).body["items"][0]
        words: str = quote["quote"]
        off = {"source": quote["id"], "quote": words[:-1] + ("!" if words[-1] != "!" else ".")}
        refused = await desk.call("submit_step", run_id=run, envelope=envelope(off))
        assert refused.code == "envelope_refused"
        assert refused.body["item"] == "evidence.0"
        done = await desk.call(
            "submit_step", run_id=run, envelope=envelope({"source": quote["id"], "quote": words})
        )
        assert (done.code, done.body["status"]) == ("done", "done")
    assert f"rests on {quote['id']}" in own.say("run", "trace", run).out


def span_of(source: str) -> tuple[int, int]:
    start, _, end = source.rpartition(":")[2].partition("-")
    return int(start), int(end)


def envelope(quote: dict[str, str]) -> dict[str, Any]:
    return {
        "step": "read",
        "status": "done",
        "confidence": 0.9,
        "evidence": [quote],
        "proposed_action": None,
        "reason": "The policy says so.",
        "state": {},
    }
