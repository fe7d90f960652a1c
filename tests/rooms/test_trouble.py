"""What stands in the way of a step leads where its workflow says, whatever the agent claims; limits hold."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

import anyio
import pytest

from policies.cedar import PolicySet
from tests.rooms.clock import Clock
from tests.rooms.files import ABOUT_DELIVERY, ABOUT_NOTHING
from tests.rooms.peers import Peer, Said
from tests.rooms.stage import Room, Stage, served
from tool_scopes import standing, steps
from tool_scopes.timeouts import end_overdue

LOOK = "shop__read_item"
WRITE = "shop__change_own"


@pytest.fixture
async def peer(room: Room, era: str) -> AsyncGenerator[Peer]:
    """A new agent each time: refused envelopes are counted for each."""
    _, key = await room.agent()
    async with room.peer(key, era) as peer:
        yield peer


@pytest.mark.parametrize(
    ("about", "why"), [(ABOUT_DELIVERY, "contradictory"), (ABOUT_NOTHING, "insufficient")]
)
@pytest.mark.parametrize("claimed", [{}, {"confidence": 1}, {"status": "failed"}])
async def test_evidence_that_does_not_suffice_leads_to_the_step_that_is_named_for_it(
    peer: Peer, about: str, why: str, claimed: dict[str, Any]
) -> None:
    run = await peer.open("guarded", about)
    await peer.call("read_context", run_id=run)
    said = await peer.submit(run, "look", "act", **claimed)
    assert (said.code, said.body["current_step"]["step"]) == ("done", "aside")
    assert why in said.body["because"]
    assert said.body["current_step"]["state"]["finding"] == "as it should be"


async def test_a_human_comes_before_any_other_way_and_lets_it_go_where_it_wanted_to(
    room: Room, peer: Peer
) -> None:
    run = await peer.open("guarded", ABOUT_NOTHING)
    await peer.call("read_context", run_id=run)
    said = await peer.submit(run, "look", "think", status="needs_review")
    assert said.body["waiting_for_a_human"] == ["the agent asks for a review"]
    assert (await room.ask("rita", "run.resolve", run=run, resolution="continue"))["step"] == "think"


async def test_no_more_calls_than_the_step_allows_are_sent_however_many_come_at_once(
    room: Room, peer: Peer
) -> None:
    run = await peer.open("guarded")
    sent, said = room.stage.frames("read_item"), list[Said]()

    async def once() -> None:
        said.append(await peer.use(run, LOOK))

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(once)
    assert sorted(one.code for one in said) == ["done"] * 3 + ["policy_denied"] * 5
    assert room.stage.frames("read_item") == sent + 3
    assert (await peer.call("current_step", run_id=run)).body["calls_left"] == 0
    # Nobody says where a denial leads from here, so a human looks.
    given_up = await peer.submit(run, "look", status="failed")
    assert given_up.body["waiting_for_a_human"] == ["policy denied what the step needed"]


async def test_a_pause_gives_no_new_calls_and_a_step_that_begins_anew_does(room: Room, peer: Peer) -> None:
    run = await peer.open("guarded")
    for _ in range(3):
        assert (await peer.use(run, LOOK)).code == "done"
    await room.ask("olga", "run.pause", run=run)
    await room.ask("olga", "run.resume", run=run)
    assert (await peer.use(run, LOOK)).code == "policy_denied"
    await room.ask("olga", "run.send_back", run=run)
    assert (await peer.use(run, LOOK)).code == "done"


async def test_the_last_refused_envelope_leads_away_and_counts_for_the_subject_over_all_runs(
    room: Room, peer: Peer
) -> None:
    first, second = await peer.open("guarded"), await peer.open("guarded", "Something else.")
    for run in (first, second):
        for _ in range(2):
            assert (await peer.submit(run, "look", state={})).code == "envelope_refused"
        assert (await peer.call("current_step", run_id=run)).body["step"] == "aside"
    # The fifth envelope about this item, whatever run it is of, brings in a human.
    third, elsewhere = await peer.open("guarded"), await peer.open("guarded", item="i-2")
    assert (await peer.submit(third, "look", state={})).code == "envelope_refused"
    assert (await peer.submit(third, "look")).code == "checkpoint_open"
    (opened,) = room.entries("checkpoint.opened", run=third)
    assert "5 envelopes of this agent about this subject" in str(opened.body["reasons"])
    fourth = await peer.open("guarded")
    assert (await peer.submit(fourth, "look", "act")).body["status"] == "waiting"
    assert (await peer.submit(elsewhere, "look", "act")).body["status"] == "open"
    # A human looked: it begins again.
    await room.ask("rita", "run.resolve", run=third, resolution="stop")
    assert (await peer.submit(await peer.open("guarded"), "look", "act")).body["status"] == "open"


@pytest.mark.parametrize("claimed", ["done", "failed"])
async def test_a_human_who_denies_the_write_leads_it_away_whatever_the_agent_says(
    room: Room, peer: Peer, item: str, claimed: str
) -> None:
    run = await peer.open("guarded", item=item)
    await peer.submit(run, "look", "act")
    asked = await peer.use(run, WRITE, price=3)
    await room.judge("rita", asked.approval["request"], "deny")
    assert (await peer.use(run, WRITE, asked.token, price=3)).code == "approval_denied"
    said = await peer.submit(run, "act", status=claimed)
    assert said.body["current_step"]["step"] == "aside"
    assert asked.approval["request"] in said.body["because"]
    assert room.stage.effects(item) == []


async def test_a_denial_after_which_another_write_was_carried_out_leads_nowhere(
    room: Room, peer: Peer, item: str
) -> None:
    run = await peer.open("guarded", item=item)
    await peer.submit(run, "look", "act")
    asked = await peer.use(run, WRITE, price=3)
    await room.judge("rita", asked.approval["request"], "deny")
    allowed = await room.approved(peer, run, WRITE, price=4)
    assert (await peer.use(run, WRITE, allowed.token, price=4)).code == "done"
    assert (await peer.submit(run, "act")).body["status"] == "done"


async def test_a_pause_gives_no_second_execution(room: Room, peer: Peer, item: str) -> None:
    run = await peer.open("guarded", item=item)
    await peer.submit(run, "look", "act")
    allowed = await room.approved(peer, run, WRITE, price=4)
    assert (await peer.use(run, WRITE, allowed.token, price=4)).code == "done"
    await room.ask("olga", "run.pause", run=run)
    await room.ask("olga", "run.resume", run=run)
    assert (await peer.use(run, WRITE, price=5)).code == "policy_denied"
    assert len(room.stage.effects(item)) == 1


async def test_a_large_bundle_brings_in_a_human(room: Room, peer: Peer) -> None:
    run = await peer.open("guarded")
    await peer.submit(run, "look", "think")
    assert (await peer.call("read_context", run_id=run)).code == "done"
    said = await peer.submit(run, "think")
    assert said.body["status"] == "waiting"
    assert "tokens is above 5" in said.body["waiting_for_a_human"][0]


async def test_when_the_time_of_a_step_is_over_nothing_is_done_in_it_and_it_leads_away(
    stage: Stage, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (standing, steps):
        monkeypatch.setattr(module, "system_now_ms", clock.now_ms)
    async with served(stage) as room:
        _, key = await room.agent()
        async with room.peer(key) as peer:
            timed, resting, untouched = [await peer.open("guarded") for _ in range(3)]
            assert "until" in (await peer.call("current_step", run_id=timed)).body
            await room.ask("olga", "run.pause", run=resting)
            clock.ahead_ms += 3_600_000
            for said in (
                await peer.use(timed, LOOK),
                await peer.call("read_context", run_id=timed),
                await peer.submit(timed, "look"),
            ):
                assert said.code == "step_closed"
            # Whoever asks where the run is, learns it at once; those whom nobody asks about are found.
            assert (await peer.call("current_step", run_id=timed)).body["step"] == "aside"
            assert await room.work(partial(end_overdue, room.house)) == [untouched]
            assert await room.work(partial(end_overdue, room.house)) == []
            entered = room.entries("step.entered", run=untouched)[-1].body
            assert (entered["step"], entered["because"]) == (
                "aside",
                "timeout in look: the 60 minutes of step look are over",
            )
            await room.ask("olga", "run.resume", run=resting)
            assert (await peer.call("current_step", run_id=resting)).body["step"] == "look"
            assert (await peer.use(resting, LOOK)).code == "done"


OWN_RULE = """@id("cheap-labels-are-looked-at")
@says("Whatever concerns this shelf is looked at first.")
forbid (principal is Agent, action == Action::"leave_step", resource)
when { context.workflow == "guarded" && context.step == "look" && context.confidence < 95 };
"""


async def test_a_rule_of_the_admins_own_brings_in_a_human_and_can_let_nobody_past_a_checkpoint(
    stage: Stage,
) -> None:
    (stage.folder.policy_dir / "own.cedar").write_text(OWN_RULE)
    assert "cheap-labels-are-looked-at" in PolicySet.load(stage.folder.policy_dir).ids
    async with served(stage) as room:
        _, key = await room.agent()
        async with room.peer(key) as peer:
            run, surer = await peer.open("guarded"), await peer.open("guarded")
            said = await peer.submit(run, "look", "act")
            why = "policy asks for a human: Whatever concerns this shelf is looked at first."
            assert said.body["waiting_for_a_human"] == [why]
            assert (await room.ask("rita", "run.resolve", run=run, resolution="continue"))["step"] == "act"
            assert (await peer.submit(surer, "look", "act", confidence=0.95)).body["status"] == "open"
            other = await peer.open("repair")
            assert (await peer.submit(other, "read", confidence=0.1)).body["status"] == "waiting"
