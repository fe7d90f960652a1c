"""Binding: an approval opens exactly the call that was judged, for the agent and in the step that asked."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rooms.peers import APPROVAL_META, Peer
from tests.rooms.stage import Room

CHANGE = "shop__change_item"
UNKNOWN = -32602


async def test_case_1_a_write_without_an_approval_is_refused_and_leaves_a_pending_request(
    room: Room, peer: Peer, item: str
) -> None:
    run = await peer.open("change")
    said = await peer.use(run, CHANGE, item_id=item, price=5)
    assert (said.code, said.is_error) == ("approval_required", True)
    assert room.request(said.approval["request"]).state == "pending"
    assert said.token.startswith("apr_")
    again = await peer.use(run, CHANGE, item_id=item, price=5)
    assert again.body == said.body
    assert room.stage.effects(item) == []


async def test_the_approved_call_is_made_once_and_what_the_upstream_said_stands_under_result(
    room: Room, peer: Peer, item: str
) -> None:
    run = await peer.open("change")
    asked = await room.approved(peer, run, item_id=item, price=5)
    frames = room.stage.frames()
    done = await peer.use(run, CHANGE, asked.token, item_id=item, price=5)
    assert set(done.body) == {"code", "execution", "status", "result"}
    assert (done.code, done.body["status"], done.is_error) == ("done", "succeeded", False)
    assert done.body["result"]["content"] == [{"type": "text", "text": f"Item {item} now costs 5."}]
    assert room.stage.effects(item) == [{"item_id": item, "price": 5, "note": ""}]
    assert room.stage.frames() == frames + 1
    begun, settled = room.entries("execution.begun", "execution.settled", run=run)
    assert begun.body["execution"] == settled.body["execution"] == done.body["execution"]
    assert [(edge.relation, edge.foundation) for edge in begun.rests_on] == [
        ("authorised_by", asked.approval["request"])
    ]


OTHER_CALLS: dict[str, tuple[dict[str, Any], str]] = {
    "case_2_an_argument_swapped": ({"price": 6}, "approval_mismatch"),
    "case_3_an_argument_more": ({"note": "thanks"}, "approval_mismatch"),
    "case_3_an_argument_that_the_tool_does_not_have": ({"confirm": True}, "invalid_arguments"),
    "case_7_another_target": ({"item_id": "another"}, "approval_mismatch"),
    "case_16_a_number_as_text": ({"price": "5"}, "invalid_arguments"),
    "case_16_true_is_not_one": ({"price": True}, "invalid_arguments"),
    "case_18_nfd_instead_of_nfc": ({"label": "cafe\u0301"}, "approval_mismatch"),
    "case_18_a_cyrillic_look_alike": ({"label": "c\u0430f\u00e9"}, "approval_mismatch"),
    "case_18_a_zero_width_space": ({"label": "caf\u00e9\u200b"}, "approval_mismatch"),
    "case_21_null_instead_of_a_text": ({"label": None}, "approval_mismatch"),
    "case_21_an_empty_text": ({"label": ""}, "approval_mismatch"),
}


@pytest.mark.parametrize(("change", "code"), OTHER_CALLS.values(), ids=OTHER_CALLS)
async def test_another_call_is_refused_and_leaves_the_approval_unspent(
    room: Room, peer: Peer, change: dict[str, Any], code: str, item: str
) -> None:
    call: dict[str, Any] = {"item_id": item, "price": 5, "label": "caf\u00e9"}
    run = await peer.open("change")
    asked = await room.approved(peer, run, **call)
    frames, refused = room.stage.frames(), room.refused(code)
    assert (await peer.use(run, CHANGE, asked.token, **{**call, **change})).code == code
    assert (room.stage.frames(), room.refused(code)) == (frames, refused + 1)
    assert room.request(asked.approval["request"]).state == "approved"
    assert (await peer.use(run, CHANGE, asked.token, **call)).code == "done"


async def test_case_21_null_missing_and_empty_are_three_calls(room: Room, peer: Peer, item: str) -> None:
    run = await peer.open("change")
    kinds: tuple[dict[str, Any], ...] = ({}, {"label": None}, {"label": ""})
    asked = [await peer.use(run, CHANGE, item_id=item, price=5, **kind) for kind in kinds]
    assert len({said.approval["request"] for said in asked}) == 3
    for said, kind in zip(asked, kinds, strict=True):
        await room.judge("rita", said.approval["request"])
        assert (await peer.use(run, CHANGE, said.token, item_id=item, price=5, **kind)).code == "done"
    assert [set(effect) - {"item_id", "price", "note"} for effect in room.stage.effects(item)] == [
        set(),
        {"label"},
        {"label"},
    ]


async def test_case_5_the_same_arguments_to_another_tool_are_an_unknown_tool(
    room: Room, peer: Peer, item: str
) -> None:
    run = await peer.open("change")
    asked = await room.approved(peer, run, item_id=item, price=5)
    for tool in ("shop__rename_item", "shop__change_own", "shop__read_item"):
        said = await peer.use(run, tool, asked.token, item_id=item, price=5)
        assert said.code == "unknown_tool"
    assert room.stage.frames("rename_item") == 0
    assert (await peer.use(run, CHANGE, asked.token, item_id=item, price=5)).code == "done"


async def test_cases_8_29_and_98_another_agents_token_is_as_if_absent(
    room: Room, peer: Peer, era: str, item: str
) -> None:
    run = await peer.open("change")
    asked = await room.approved(peer, run, item_id=item, price=5)
    _, key = await room.agent()
    async with room.peer(key, era) as other:
        own = await other.open("change")
        without = await other.use(own, CHANGE, item_id=item, price=5)
        with_theirs = await other.use(own, CHANGE, asked.token, item_id=item, price=5)
        invented = await other.use(own, CHANGE, "apr_" + "0" * 26, item_id=item, price=5)
        assert without.code == "approval_required"
        assert without.text == with_theirs.text == invented.text
        absent = await other.use("run_" + "0" * 26, CHANGE, asked.token, item_id=item, price=5)
        theirs = await other.use(run, CHANGE, asked.token, item_id=item, price=5)
        assert theirs.code == "unknown_tool"
        assert theirs.text == absent.text
    assert room.stage.effects(item) == []
    assert (await peer.use(run, CHANGE, asked.token, item_id=item, price=5)).code == "done"


async def test_case_9_a_token_of_one_run_is_as_if_absent_in_another(
    room: Room, peer: Peer, item: str
) -> None:
    run, other = await peer.open("change"), await peer.open("change")
    asked = await room.approved(peer, run, item_id=item, price=5)
    without = await peer.use(other, CHANGE, item_id=item, price=5)
    assert (await peer.use(other, CHANGE, asked.token, item_id=item, price=5)).text == without.text
    assert without.approval["request"] != asked.approval["request"]
    assert (await peer.use(run, CHANGE, asked.token, item_id=item, price=5)).code == "done"


async def test_case_10_a_token_of_a_step_that_the_run_has_left_is_closed(
    room: Room, peer: Peer, item: str
) -> None:
    run = await peer.open("change")
    asked = await room.approved(peer, run, item_id=item, price=5)
    assert (await peer.submit(run, "act", "again")).code == "done"
    # The next step has the same tool, and the same arguments make another call there.
    assert (await peer.use(run, CHANGE, asked.token, item_id=item, price=5)).code == "step_closed"
    fresh = await room.approved(peer, run, item_id=item, price=5)
    assert fresh.token != asked.token
    assert (await peer.use(run, CHANGE, fresh.token, item_id=item, price=5)).code == "done"
    assert len(room.stage.effects(item)) == 1


async def test_case_11_another_tenants_run_and_token_are_as_if_absent(
    room: Room, peer: Peer, era: str, item: str
) -> None:
    run = await peer.open("change")
    asked = await room.approved(peer, run, item_id=item, price=5)
    _, key = await room.agent(tenant="other")
    async with room.peer(key, era) as other:
        theirs = await other.use(run, CHANGE, asked.token, item_id=item, price=5)
        nobodys = await other.use("run_" + "0" * 26, CHANGE, asked.token, item_id=item, price=5)
        assert (theirs.code, theirs.text) == ("unknown_tool", nobodys.text)
        own = await other.open("change")
        without = await other.use(own, CHANGE, item_id=item, price=5)
        assert (await other.use(own, CHANGE, asked.token, item_id=item, price=5)).text == without.text
        seen = await other.call("see_approval", run_id=own, request=asked.approval["request"])
        assert seen.code == "unknown_tool"
    assert room.stage.effects(item) == []


NO_TOKENS = {
    "empty": "",
    "words": "approved by rita",
    "case_28_an_agent_key": "KEY",
    "case_24_upper_case": "UPPER",
    "case_24_a_space_behind": "SPACE",
    "case_24_an_alias_of_zero": "apr_" + "O" * 26,
    "case_23_a_jws": "eyJhbGciOiJub25lIn0.e30.",
    "long": "apr_" + "0" * 5_000,
}


@pytest.mark.parametrize("text", NO_TOKENS.values(), ids=NO_TOKENS)
async def test_what_is_no_token_leads_to_the_same_answer_as_none(
    room: Room, era: str, text: str, item: str
) -> None:
    _, key = await room.agent()
    async with room.peer(key, era) as peer:
        run = await peer.open("change")
        asked = await room.approved(peer, run, item_id=item, price=5)
        told = {"KEY": key, "UPPER": asked.token.upper(), "SPACE": f"{asked.token} "}.get(text, text)
        assert (await peer.use(run, CHANGE, told, item_id=item, price=5)).code == "approval_required"
        assert room.request(asked.approval["request"]).state == "approved"


async def test_a_token_may_come_as_an_argument_or_in_meta_but_not_as_two(
    room: Room, peer: Peer, era: str, item: str
) -> None:
    run = await peer.open("change")
    issued = await peer.call("current_step", run_id=run, with_pass=True)
    first = await room.approved(peer, run, item_id=item, price=1)
    second = await room.approved(peer, run, item_id=item, price=2)
    async with room.peer(str(issued.body["step_pass"]), era) as within:

        async def change(price: int, in_meta: Any, **argument: str) -> str:
            told = {} if in_meta is None else {APPROVAL_META: in_meta}
            said = await within.call(CHANGE, told, item_id=item, price=price, **argument)
            return said.code

        both = {"approval_token": first.token}
        assert await change(1, second.token, **both) == "invalid_arguments"
        assert await change(1, ["apr_"], **both) == "invalid_arguments"
        assert room.stage.effects(item) == []
        assert await change(1, first.token, **both) == "done"
        assert await change(2, second.token) == "done"
        third = await within.call(CHANGE, item_id=item, price=3)
        await room.judge("rita", third.approval["request"])
        assert await change(3, None, approval_token=third.token) == "done"
    assert [effect["price"] for effect in room.stage.effects(item)] == [1, 2, 3]


async def test_at_the_desk_a_token_may_stand_beside_the_arguments_or_among_them(
    room: Room, peer: Peer, item: str
) -> None:
    run = await peer.open("change")
    asked = await room.approved(peer, run, item_id=item, price=1)
    other = await room.approved(peer, run, item_id=item, price=2)
    twice = await peer.use(run, CHANGE, asked.token, item_id=item, price=1, approval_token=other.token)
    assert twice.code == "invalid_arguments"
    number = await peer.use(run, CHANGE, item_id=item, price=1, approval_token=7)
    assert number.code == "invalid_arguments"
    said = await peer.use(run, CHANGE, item_id=item, price=1, approval_token=asked.token)
    assert said.code == "done"


async def test_desk_pass_and_url_ask_for_and_spend_one_and_the_same_approval(
    room: Room, era: str, item: str
) -> None:
    _, key = await room.agent()
    call: dict[str, Any] = {"item_id": item, "price": 5}
    async with room.peer(key, era) as desk, room.peer(key, era, "/change/act") as at_url:
        run = await desk.open("change")
        issued = await desk.call("current_step", run_id=run, with_pass=True)
        async with room.peer(str(issued.body["step_pass"]), era) as within:
            asked = [
                await desk.use(run, CHANGE, **call),
                await at_url.call(CHANGE, run_id=run, **call),
                await within.call(CHANGE, **call),
            ]
            assert len({said.text for said in asked}) == 1
            token = asked[0].token
            await room.judge("rita", asked[0].approval["request"])
            done = await at_url.call(CHANGE, run_id=run, approval_token=token, **call)
            assert done.code == "done"
            spent = [
                await desk.use(run, CHANGE, token, **call),
                await at_url.call(CHANGE, run_id=run, approval_token=token, **call),
                await within.call(CHANGE, approval_token=token, **call),
            ]
            assert {said.body["execution"] for said in spent} == {done.body["execution"]}
    assert len(room.stage.effects(item)) == 1


async def test_an_action_proposed_in_the_draft_is_the_request_that_the_refused_write_names(
    room: Room, peer: Peer, item: str
) -> None:
    run = await peer.open("repair", item=item)
    for step in ("read", "classify", "plan"):
        assert (await peer.submit(run, step)).code == "done"
    arguments = {"price": 5.0, "note": "as agreed"}
    action = {"type": "shop__change_own", "target_id": f"item:{item}", "arguments": arguments}
    said = await peer.submit(run, "draft", status="needs_approval", proposed_action=action)
    proposed = said.approval
    refused = await peer.use(run, "shop__change_own", **arguments)
    assert (refused.code, refused.approval) == ("approval_required", proposed)
    await room.judge("rita", proposed["request"])
    done = await peer.use(run, "shop__change_own", proposed["approval_token"], price=5, note="as agreed")
    assert done.code == "done"
    assert room.stage.effects(item) == [{"item_id": item, "price": 5, "note": "as agreed"}]
