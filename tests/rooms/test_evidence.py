"""Evidence: recorded before it leaves, the same for the same need, and absent where it may not be read."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from anyio import to_thread

from context_store.head import head_release
from context_store.meaning import Meaning, embed, lacking_vectors
from context_store.shown import showings
from ledger.canonical import JsonObject
from policies.signing import new_personal_key
from server.personal_keys import sign_now
from server.sending import OperationFailed, send_operation
from tests.rooms.files import ABOUT_DELIVERY, ABOUT_NOTHING, ABOUT_PRICES
from tests.rooms.peers import Peer
from tests.rooms.stage import Room
from tests.rooms.wire import wired


async def test_what_a_run_is_shown_is_on_record_and_what_it_was_not_shown_is_not(
    room: Room, peer: Peer
) -> None:
    run, other = await peer.open("repair"), await peer.open("repair")
    said = await peer.call("read_context", run_id=run)
    (entry,) = room.entries("bundle.served", run=run)
    assert entry.body["bundle"] == said.body["bundle"]
    shown = room.read(lambda reading: showings(reading, run))
    assert [one.bundle for one in shown] == [said.body["bundle"]]
    quoted = {edge.foundation for edge in entry.rests_on if edge.relation == "quotes"}
    assert {item["id"] for item in said.body["items"]} <= quoted
    assert room.read(lambda reading: showings(reading, other)) == []


async def test_the_same_need_gives_the_same_bytes_on_every_connection(room: Room, era: str) -> None:
    _, key = await room.agent()
    async with room.peer(key, era) as peer:
        runs = [await peer.open("repair"), await peer.open("repair")]
        asked = await peer.call("current_step", run_id=runs[0], with_pass=True)
        at_desk = [(await peer.call("read_context", run_id=run)).text for run in (*runs, runs[0])]
    async with room.peer(str(asked.body["step_pass"]), era) as within:
        at_desk.append((await within.call("read_context")).text)
        at_desk.append((await within.call("read_context", need=ABOUT_PRICES)).text)
    async with wired(f"{room.url}/repair/read", key, era) as wire:
        answer = await wire.call("read_context", json.dumps({"run_id": runs[1]}))
        at_desk.append(answer.json()["result"]["content"][0]["text"])
    assert len(set(at_desk)) == 1
    assert json.loads(at_desk[0])["sufficiency"] == "sufficient"


async def test_every_quote_of_a_bundle_is_exactly_what_its_id_resolves_to(peer: Peer) -> None:
    run = await peer.open("repair")
    for need in (ABOUT_PRICES, ABOUT_DELIVERY, "Smart quotes"):
        bundle = await peer.call("read_context", run_id=run, need=need)
        assert bundle.body["items"]
        assert bundle.body["budget"]["used"] <= bundle.body["budget"]["tokens"]
        for item in bundle.body["items"]:
            cited = await peer.call("cite", run_id=run, source=item["id"])
            assert cited.body["quote"] == item["quote"]
            start, end = map(int, item["id"].rpartition(":")[2].split("-"))
            assert end - start == len(item["quote"])
            assert (cited.body["standing"], cited.body["successor"]) == ("current", None)


async def test_citing_is_on_record_too(room: Room, peer: Peer) -> None:
    run = await peer.open("repair")
    assert (await peer.call("cite", run_id=run, source="prices@1:0-5")).code == "done"
    (entry,) = room.entries("quote.served", run=run)
    assert entry.body["id"] == "prices@1:0-5"


ABSENT = {
    "case_72_a_source_under_a_label": "board@1:0-10",
    "case_72_its_whole_version": "board@1",
    "a source that does not exist": "nothing@1:0-10",
    "a version that does not exist": "prices@9:0-10",
    "case_101_beyond_the_text": "prices@1:0-999999",
    "a span that is none": "prices@1:5-5",
    "another run's observation": "OBSERVATION",
    "an observation that does not exist": "obs-" + "0" * 26 + "@1",
    "no provenance id": "prices",
    "an approval request": "req_" + "0" * 26,
    "a path": "../../etc/passwd@1:0-5",
    "SQL": "prices'; DROP TABLE versions; --@1:0-5",
    "a wild card": "%@1:0-5",
    "empty": "",
}


@pytest.mark.parametrize("source", ABSENT.values(), ids=ABSENT)
async def test_what_may_not_be_read_is_as_if_absent(peer: Peer, source: str) -> None:
    run, other = await peer.open("repair"), await peer.open("repair")
    if source == "OBSERVATION":
        source = (await peer.use(other, "shop__read_item")).observation
    absent = await peer.call("cite", run_id=run, source="never@1:0-5")
    said = await peer.call("cite", run_id=run, source=source)
    assert (said.code, said.text) == ("unknown_tool", absent.text)
    # Nor does checking a quote tell that there is such a source (case 102).
    quotes = [{"source": source or "-", "quote": "The board sells the price list in autumn."}]
    assert (await peer.call("verify_quotes", run_id=run, quotes=quotes)).body["found"] == [None]


async def test_case_72_a_source_under_a_label_is_in_no_bundle_of_a_step_without_it(peer: Peer) -> None:
    run = await peer.open("repair")
    said = await peer.call("read_context", run_id=run, need="Does the board sell the price list in autumn?")
    assert "board" not in said.text.replace("Does the board sell", "")


async def test_case_75_a_contradiction_shows_both_sides(peer: Peer) -> None:
    run = await peer.open("repair", ABOUT_DELIVERY)
    said = await peer.call("read_context", run_id=run)
    assert said.body["sufficiency"] == "contradictory"
    (conflict,) = said.body["conflicts"]
    assert [side["value"] for side in conflict["sides"]] == [10, 7] or [
        side["value"] for side in conflict["sides"]
    ] == [7, 10]
    shown = {item["id"] for item in said.body["items"]}
    assert {side["item"] for side in conflict["sides"]} <= shown


async def test_case_76_with_nothing_relevant_the_bundle_is_empty_and_says_so(peer: Peer) -> None:
    run = await peer.open("repair", ABOUT_NOTHING)
    said = await peer.call("read_context", run_id=run)
    assert (said.body["sufficiency"], said.body["items"]) == ("insufficient", [])


NEEDS: dict[str, tuple[Any, str]] = {
    "too long": ("x" * 8_001, "invalid_arguments"),
    "a number": (7, "invalid_arguments"),
    "null is none": (None, "done"),
    "only punctuation": ("???", "done"),
}


@pytest.mark.parametrize(("need", "code"), NEEDS.values(), ids=NEEDS)
async def test_a_need_that_cannot_be_searched_for_is_refused_in_a_sentence(
    room: Room, peer: Peer, need: Any, code: str
) -> None:
    run = await peer.open("repair")
    said = await peer.call("read_context", run_id=run, need=need)
    assert said.code == code
    assert len(room.entries("bundle.served", run=run)) == (1 if code == "done" else 0)


async def test_a_step_without_a_context_reads_nothing(peer: Peer) -> None:
    run = await peer.open("big")
    assert (await peer.call("read_context", run_id=run)).code == "policy_denied"
    absent = await peer.call("cite", run_id=run, source="nothing@1:0-5")
    assert (await peer.call("cite", run_id=run, source="prices@1:0-5")).text == absent.text


async def test_another_tenant_sees_none_of_it(room: Room, era: str) -> None:
    _, key = await room.agent(tenant="other")
    async with room.peer(key, era) as peer:
        run = await peer.open("repair")
        said = await peer.call("read_context", run_id=run)
        assert (said.body["sufficiency"], said.body["items"]) == ("insufficient", [])
        assert (await peer.call("cite", run_id=run, source="prices@1:0-5")).code == "unknown_tool"


async def test_a_read_that_fails_upstream_is_an_observation_of_nothing(room: Room, peer: Peer) -> None:
    run = await peer.open("repair")
    said = await peer.use(run, "shop__read_item")
    assert said.body["result"]["content"][0]["text"].startswith("Item i-1 costs 10 coins.")
    (entry,) = room.entries("call.answered", run=run)
    assert entry.body["observation"] == said.observation
    cited = await peer.call("cite", run_id=run, source=f"{said.observation}:0-8")
    assert cited.body["quote"] == "Item i-1"


async def test_case_80_what_an_agent_proposes_is_a_draft_that_no_search_finds(room: Room, peer: Peer) -> None:
    run = await peer.open("repair", "Is the zebra crossing of the warehouse striped?")
    said = await peer.call(
        "propose_source", run_id=run, title="Zebra", text="The zebra crossing of the warehouse is striped."
    )
    assert (said.code, said.body["status"]) == ("done", "draft")
    bundle = await peer.call("read_context", run_id=run)
    assert bundle.body["items"] == []
    assert (await peer.call("cite", run_id=run, source=said.body["source"])).code == "unknown_tool"
    # Curation is for people who sign: for an agent there is no such tool, and its key opens no operation.
    for act in ("publish_source", "source.publish", "source.review"):
        refused = await peer.call(act, run_id=run, versions=[said.body["source"]])
        assert refused.error == (-32602, f"Unknown tool: {act}")
    head = room.read(lambda reading: head_release(reading, "acme"))
    published: JsonObject = {"versions": [said.body["source"]]}
    signed = sign_now(new_personal_key("bot"), "source.publish", published)
    url = room.url.removesuffix("/mcp")
    with pytest.raises(OperationFailed, match="is not enrolled here"):
        await to_thread.run_sync(send_operation, url, "source.publish", published, signed)
    assert room.read(lambda reading: head_release(reading, "acme")) == head


class Listening:
    """A model to which every text is as likely, and that notes in which thread it is asked."""

    name, revision, dimension = "listening", "1", 4

    def __init__(self) -> None:
        self.asked_in: list[threading.Thread] = []

    def encode(self, texts: Sequence[str]) -> Any:
        import numpy as np

        self.asked_in.append(threading.current_thread())
        return np.full((len(texts), 4), 0.5, dtype=np.float32)


async def test_a_model_is_asked_beside_the_event_loop_and_the_bundle_names_it(room: Room, peer: Peer) -> None:
    store, model = room.house.store, Listening()
    run = await peer.open("repair")
    store.meaning = Meaning(model)
    try:
        await to_thread.run_sync(lambda: embed(store, lacking_vectors(store, "acme")))
        model.asked_in.clear()
        said = await peer.call("read_context", run_id=run, need=ABOUT_PRICES)
    finally:
        store.meaning = None
    assert said.body["retrieved_with"]["semantic"] == {"model": "listening", "revision": "1", "dimension": 4}
    assert len(model.asked_in) == 1
    assert threading.main_thread() not in model.asked_in
