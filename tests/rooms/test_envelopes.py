"""Envelopes: a step ends with what can be checked word for word, or it does not end."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.rooms.files import ABOUT_DELIVERY, ABOUT_NOTHING
from tests.rooms.peers import Peer, Said
from tests.rooms.stage import Room

Quote = dict[str, str]


class Shown:
    """A run in `read` that was shown a bundle and made an observation, and another run of the same agent."""

    def __init__(self, run: str, bundle: Said, observed: Said, elsewhere: Said) -> None:
        self.run = run
        self.items: list[dict[str, Any]] = bundle.body["items"]
        self.observed = observed.observation
        self.elsewhere = elsewhere.observation

    @property
    def good(self) -> Quote:
        """A quote that stands where it says."""
        return {"source": self.items[0]["id"], "quote": self.items[0]["quote"]}

    def at(self, words: str) -> Quote:
        """The item that holds these words."""
        found = next(item for item in self.items if words in item["quote"])
        return {"source": found["id"], "quote": found["quote"]}


@pytest.fixture(scope="module")
async def shown(peer: Peer) -> Shown:
    """A run that has something to quote, and that nobody moves on."""
    return await look(peer)


async def look(peer: Peer) -> Shown:
    """Open a run and show it something."""
    run, other = await peer.open("repair"), await peer.open("repair")
    bundle = await peer.call("read_context", run_id=run, need="Is a price negative? When is it changed?")
    return Shown(
        run, bundle, await peer.use(run, "shop__read_item"), await peer.use(other, "shop__read_item")
    )


def wrong_quotes(shown: Shown) -> dict[str, Quote]:
    """Quotes of which each is wrong in one way."""
    good, negative = shown.good, shown.at("Smart")
    supplier = shown.at("supplier")
    version = good["source"].partition(":")[0]
    return {
        "one letter changed": {**supplier, "quote": supplier["quote"].replace("supplier", "Supplier")},
        "a space at the end": {**good, "quote": f"{good['quote']} "},
        "at the place of another": {"source": supplier["source"], "quote": negative["quote"]},
        "in a source that does not say it": {**good, "source": "week@1"},
        "in a version that does not exist": {**good, "source": good["source"].replace("@1", "@2")},
        "in a source that was not shown": {
            "source": "ten@1",
            "quote": "A parcel comes within 10 days.",
        },
        "in a source that it may not read": {
            "source": "board@1",
            "quote": "The board sells the price list in autumn.",
        },
        "in a source that does not exist": {**good, "source": "nothing@1"},
        "beyond the text": {**good, "source": f"{version}:0-999999"},
        "a span that ends before it begins": {**good, "source": f"{version}:9-3"},
        "no provenance id": {**good, "source": "the price policy"},
        "another source before it": {**good, "source": f"x, {good['source']}"},
        "case_18_normalised": {**negative, "quote": "an \u00e9 stay as they are."},
        "other quotation marks": {**negative, "quote": 'Smart "quotes"'},
        "another run's observation": {"source": shown.elsewhere, "quote": "costs 10 coins"},
        "an observation that does not say it": {"source": shown.observed, "quote": "costs 11 coins"},
        "an observation's other version": {
            "source": shown.observed.replace("@1", "@2"),
            "quote": "costs 10 coins",
        },
        "an observation that does not exist": {"source": "obs-" + "0" * 26 + "@1", "quote": "costs"},
        "an empty quote": {**good, "quote": ""},
    }


WRONG_QUOTES = (
    "one letter changed",
    "a space at the end",
    "at the place of another",
    "in a source that does not say it",
    "in a version that does not exist",
    "in a source that was not shown",
    "in a source that it may not read",
    "in a source that does not exist",
    "beyond the text",
    "a span that ends before it begins",
    "no provenance id",
    "another source before it",
    "case_18_normalised",
    "other quotation marks",
    "another run's observation",
    "an observation that does not say it",
    "an observation's other version",
    "an observation that does not exist",
    "an empty quote",
)


async def test_case_71_every_kind_of_wrong_quote_is_tried(shown: Shown) -> None:
    assert set(wrong_quotes(shown)) == set(WRONG_QUOTES)


@pytest.mark.parametrize("kind", WRONG_QUOTES)
async def test_case_71_a_wrong_quote_refuses_the_envelope_and_is_named(
    room: Room, peer: Peer, shown: Shown, kind: str
) -> None:
    wrong = wrong_quotes(shown)[kind]
    refused = len(room.entries("envelope.refused", run=shown.run))
    said = await peer.submit(shown.run, "read", evidence=[shown.good, wrong])
    assert (said.code, said.is_error) == ("envelope_refused", True)
    assert said.body["item"].startswith("evidence.1")
    if wrong["quote"]:
        checked = await peer.call("verify_quotes", run_id=shown.run, quotes=[shown.good, wrong])
        assert checked.body["found"] == [shown.good["source"], None]
    assert (await peer.call("current_step", run_id=shown.run)).body["step"] == "read"
    retries = [entry.body["retry"] for entry in room.entries("envelope.refused", run=shown.run)]
    assert retries == list(range(1, refused + 2))


async def test_quotes_are_kept_with_their_exact_places(room: Room, peer: Peer) -> None:
    shown = await look(peer)
    negative = shown.at("negative")
    version, _, span = negative["source"].partition(":")
    start = int(span.partition("-")[0])
    evidence = [
        negative,
        {"source": version, "quote": "negative"},
        {"source": shown.observed, "quote": "costs 10 coins.\nIt"},
    ]
    assert (await peer.submit(shown.run, "read", evidence=evidence)).code == "done"
    (entry,) = room.entries("step.submitted", run=shown.run)
    cited = [edge.foundation for edge in entry.rests_on]
    assert cited[0] == negative["source"]
    place = start + negative["quote"].index("negative")
    assert cited[1] == f"{version}:{place}-{place + 8}"
    assert cited[2].startswith(f"{shown.observed}:")
    for source, item in zip(cited, evidence, strict=True):
        said = await peer.call("cite", run_id=shown.run, source=source)
        assert said.body["quote"] == item["quote"]


WRONG_SHAPES: dict[str, tuple[dict[str, Any], str]] = {
    "the wrong step": ({"step": "plan"}, "step"),
    "a state without what the step asks for": ({"state": {}}, "state"),
    "a state of the wrong type": ({"state": {"finding": 7}}, "state.finding"),
    "an unknown status": ({"status": "approved"}, "status"),
    "a confidence above one": ({"confidence": 1.5}, "confidence"),
    "a confidence that is a text": ({"confidence": "0.9"}, "confidence"),
    "a confidence that is a truth": ({"confidence": True}, "confidence"),
    "no reason": ({"reason": ""}, "reason"),
    "an unknown field": ({"approved_by": "rita"}, "approved_by"),
    "evidence that is no list": ({"evidence": {}}, "evidence"),
    "evidence without a quote": ({"evidence": [{"source": "prices@1"}]}, "evidence.0.quote"),
    "an action where none can follow": (
        {"proposed_action": {"type": "shop__change_own", "arguments": {"price": 1}}},
        "proposed_action.type",
    ),
}


@pytest.mark.parametrize(("changes", "item"), WRONG_SHAPES.values(), ids=WRONG_SHAPES)
async def test_an_envelope_of_the_wrong_shape_is_refused_and_what_is_wrong_is_named(
    peer: Peer, changes: dict[str, Any], item: str
) -> None:
    run = await peer.open("repair")
    said = await peer.submit(run, "read", **changes)
    assert (said.code, said.body["item"]) == ("envelope_refused", item)
    assert said.body["why"]
    assert (await peer.submit(run, "read")).code == "done"


async def test_a_next_step_that_does_not_follow_is_refused(peer: Peer) -> None:
    run = await peer.open("repair")
    said = await peer.submit(run, "read", "execute")
    assert (said.code, said.body["item"]) == ("envelope_refused", "next")


WRONG_ACTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown tool": ({"type": "shop__nothing"}, "proposed_action.type"),
    "a tool of another workflow": ({"type": "shop__change_item"}, "proposed_action.type"),
    "another target": ({"target_id": "item:i-2"}, "proposed_action.target_id"),
    "a missing argument": ({"arguments": {}}, "proposed_action.arguments"),
    "a wrong argument": ({"arguments": {"price": "5"}}, "proposed_action.arguments"),
    "a bound argument": ({"arguments": {"price": 5, "item_id": "i-1"}}, "proposed_action.arguments"),
    "a reserved argument": ({"arguments": {"price": 5, "run_id": "run"}}, "proposed_action.arguments"),
}


@pytest.mark.parametrize(("changes", "item"), WRONG_ACTIONS.values(), ids=WRONG_ACTIONS)
async def test_a_proposed_action_that_does_not_fit_is_refused_and_asks_nobody(
    room: Room, peer: Peer, changes: dict[str, Any], item: str
) -> None:
    run = await peer.open("repair")
    for step in ("read", "classify", "plan"):
        assert (await peer.submit(run, step)).code == "done"
    action = {"type": "shop__change_own", "target_id": "item:i-1", "arguments": {"price": 5}, **changes}
    said = await peer.submit(run, "draft", proposed_action=action)
    assert (said.code, said.body["item"]) == ("envelope_refused", item)
    assert room.entries("approval.requested", run=run) == []


async def test_ten_envelopes_at_once_move_the_run_once(room: Room, peer: Peer) -> None:
    run = await peer.open("repair")
    said: list[Said] = []

    async def submit() -> None:
        said.append(await peer.submit(run, "read"))

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(submit)
    # The others were sent again for nothing, and are no refused envelopes of the step that followed.
    assert sorted(one.code for one in said) == ["done", *["step_closed"] * 9]
    told = await peer.call("current_step", run_id=run)
    assert (told.body["step"], told.body["status"]) == ("classify", "open")
    assert room.entries("envelope.refused", run=run) == []
    assert len(room.entries("step.submitted", run=run)) == 1


async def test_a_run_whose_step_failed_has_ended(peer: Peer) -> None:
    run = await peer.open("change")
    said = await peer.submit(run, "act", status="failed")
    assert (said.code, said.body["status"]) == ("done", "failed")
    assert (await peer.use(run, "shop__change_item", item_id="i", price=1)).code == "step_closed"
    assert (await peer.submit(run, "act")).code == "step_closed"


STOPS: dict[str, tuple[str, dict[str, Any], str]] = {
    "low confidence": ("", {"confidence": 0.59}, "confidence 0.59 is below 0.6"),
    "the agent asks for it": ("", {"status": "needs_review"}, "the agent asks for a review"),
    "case_75_contradictory evidence": (ABOUT_DELIVERY, {}, "contradictory"),
    "case_75_claims_change_nothing": (ABOUT_DELIVERY, {"confidence": 1}, "contradictory"),
    "case_76_insufficient evidence": (ABOUT_NOTHING, {}, "insufficient"),
}


@pytest.mark.parametrize(("request_", "changes", "reason"), STOPS.values(), ids=STOPS)
async def test_a_checkpoint_stops_the_run_for_a_human(
    room: Room, peer: Peer, request_: str, changes: dict[str, Any], reason: str
) -> None:
    run = await peer.open("repair", request_)
    await peer.call("read_context", run_id=run)
    said = await peer.submit(run, "read", **changes)
    assert (said.code, said.body["status"]) == ("done", "waiting")
    assert reason in said.body["waiting_for_a_human"][0]
    told = await peer.call("current_step", run_id=run)
    assert told.body["waiting_for_a_human"] == said.body["waiting_for_a_human"]
    assert (await peer.submit(run, "read")).code == "checkpoint_open"
    # Looking is still allowed.
    assert (await peer.use(run, "shop__read_item")).code == "done"
    assert (await room.ask("rita", "run.resolve", run=run, resolution="continue"))["step"] == "classify"
    assert (await peer.call("current_step", run_id=run)).body["state"]["finding"] == "as it should be"


async def test_exactly_at_the_threshold_nobody_is_asked(peer: Peer) -> None:
    run = await peer.open("repair")
    assert (await peer.submit(run, "read", confidence=0.6)).body["status"] == "open"


async def test_a_human_sends_back_or_stops_a_run(room: Room, peer: Peer) -> None:
    run = await peer.open("repair")
    await peer.submit(run, "read", confidence=0.1)
    issued = await peer.call("current_step", run_id=run, with_pass=True)
    back = await room.ask("rita", "run.resolve", run=run, resolution="send_back", note="look again")
    assert (back["step"], back["status"]) == ("read", "open")
    told = await peer.call("current_step", run_id=run)
    assert told.body["epoch"] == issued.body["epoch"] + 1
    assert (await peer.submit(run, "read")).code == "done"
    await peer.submit(run, "classify", confidence=0.1)
    await room.ask("rita", "run.resolve", run=run, resolution="stop")
    assert (await peer.call("current_step", run_id=run)).code == "step_closed"


async def test_when_its_envelopes_are_refused_too_often_a_human_has_to_look(room: Room, peer: Peer) -> None:
    run = await peer.open("repair")
    await peer.submit(run, "read")
    for _ in range(3):
        assert (await peer.submit(run, "classify", state={})).code == "envelope_refused"
    assert (await peer.submit(run, "classify")).code == "checkpoint_open"
    (opened,) = room.entries("checkpoint.opened", run=run)
    assert "3 envelopes" in str(opened.body["reasons"])
    # There is no envelope to go on with, so the step begins again.
    resolved = await room.ask("rita", "run.resolve", run=run, resolution="continue")
    assert (resolved["step"], resolved["status"]) == ("classify", "open")
    assert (await peer.submit(run, "classify")).code == "done"


@pytest.mark.parametrize("resolution", ["continue", "send_back", "stop"])
async def test_case_70_at_a_checkpoint_every_write_and_step_change_waits_for_a_human(
    room: Room, peer: Peer, item: str, resolution: str
) -> None:
    run = await peer.open("change")
    asked = await room.approved(peer, run, item_id=item, price=5)
    said = await peer.submit(run, "act", "again", status="needs_review")
    assert said.body["status"] == "waiting"
    for token in (asked.token, None):
        assert (await peer.use(run, "shop__change_item", token, item_id=item, price=5)).code == (
            "checkpoint_open"
        )
    assert (await peer.submit(run, "act", "again")).code == "checkpoint_open"
    assert room.request(asked.approval["request"]).state == "approved"
    await room.ask("rita", "run.resolve", run=run, resolution=resolution)
    # Whatever the human decided, what was issued in the epoch before is dead.
    late = await peer.use(run, "shop__change_item", asked.token, item_id=item, price=5)
    assert late.code == "step_closed"
    assert room.stage.effects(item) == []


async def test_no_envelope_carries_another_value_of_what_the_run_was_opened_with(peer: Peer) -> None:
    run = await peer.open("labelled", item="i-1")
    said = await peer.submit(run, "look", state={"item_id": "i-2"})
    assert (said.code, said.body["item"]) == ("envelope_refused", "state.item_id")
    assert (await peer.submit(run, "look", state={"item_id": "i-1"})).body["status"] == "done"
