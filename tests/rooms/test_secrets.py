"""Secret arguments: the upstream gets the value, and nothing that is kept or shown holds it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from anyio import to_thread

from policies.audit_rules import check_complete
from server.sending import OperationFailed
from tests.rooms.peers import Peer
from tests.rooms.stage import Room
from tool_scopes.sealing import MAX_OF_ARGUMENT

STORE = "shop__store_code"


def everything_kept(room: Room) -> bytes:
    """Every file of the data folder but what the upstream itself wrote down, and the exported log."""
    kept = "".join(room.house.ledger.export()).encode()
    for path in room.stage.folder.root.rglob("*"):
        if path.is_file() and "recording" not in path.parts:
            with suppress(FileNotFoundError):  # a file that is written anew has another name for a moment
                kept += path.read_bytes()
    return kept


async def at_the_write(peer: Peer, item: str) -> str:
    run = await peer.open("sealed", item=item)
    assert (await peer.submit(run, "look")).code == "done"
    assert (await peer.submit(run, "draft")).code == "done"
    return run


async def test_case_61_a_secret_reaches_the_upstream_and_nothing_else(
    room: Room, peer: Peer, item: str, era: str
) -> None:
    code = f"planted-secret-{item}-{era}"
    run = await at_the_write(peer, item)
    asked = await peer.use(run, STORE, item_id=item, code=code)
    assert asked.code == "approval_required"
    request = asked.approval["request"]
    committed = room.request(request).call.arguments["code"]
    assert str(committed).startswith("sealed:")
    shown = await room.ask("rita", "approval.show", request=request)
    assert shown["call"]["arguments"]["code"] == committed  # type: ignore[index]
    assert shown["summary"]["secrets"] == ["code"]  # type: ignore[index]
    await room.judge("rita", request)
    other = await peer.use(run, STORE, asked.token, item_id=item, code=f"{code}-2")
    assert other.code == "approval_mismatch"
    done = await peer.use(run, STORE, asked.token, item_id=item, code=code)
    assert done.code == "done"
    assert room.stage.effects(item) == [{"item_id": item, "code": code}]
    assert code.encode() not in everything_kept(room)
    assert code not in json.dumps(await room.ask("rita", "run.trace", run=run))


async def test_case_61_erasing_makes_it_unreadable_and_leaves_every_proof_whole(
    room: Room, peer: Peer, item: str
) -> None:
    run = await at_the_write(peer, item)
    asked = await peer.use(run, STORE, item_id=item, code="erased-later")
    request = asked.approval["request"]
    await room.judge("rita", request)
    committed = room.request(request).call.arguments["code"]
    with pytest.raises(OperationFailed):
        await room.ask("rita", "approval.erase", request=request)
    assert (await room.ask("ada", "approval.erase", request=request))["erased"] == 1
    assert (await room.ask("ada", "approval.erase", request=request))["erased"] == 0
    # Neither the value nor its commitment is the approved one any more: what is erased can not be sent.
    for text in ("erased-later", str(committed)):
        said = await peer.use(run, STORE, asked.token, item_id=item, code=text)
        assert said.code in ("approval_mismatch", "invalid_arguments")
    assert room.request(request).call.arguments["code"] == committed
    report = await to_thread.run_sync(room.house.ledger.verify)
    assert report.whole
    assert list(check_complete(room.house.ledger.entries())) == []


async def test_a_secret_opens_after_the_sealing_key_was_rotated_and_keeps_that_key_from_being_retired(
    room: Room, peer: Peer, item: str
) -> None:
    run = await at_the_write(peer, item)
    asked = await peer.use(run, STORE, item_id=item, code="sealed-before")
    await room.judge("rita", asked.approval["request"])
    committed = room.request(asked.approval["request"]).call.arguments["code"]
    before = room.house.ring.standing()
    old = next(key.kid for key, state in before if (key.purpose, state) == ("sealing", "newest"))
    await room.ask("ada", "key.rotate", purpose="sealing")
    with pytest.raises(OperationFailed, match="sealed arguments open with"):
        await room.ask("ada", "key.retire", kid=old)
    assert (await peer.use(run, STORE, asked.token, item_id=item, code=str(committed))).code == "done"
    assert room.stage.effects(item) == [{"item_id": item, "code": "sealed-before"}]


async def test_a_secret_that_was_proposed_need_not_be_carried_to_the_step_that_uses_it(
    room: Room, peer: Peer, item: str
) -> None:
    code = f"proposed-{item}"
    run = await peer.open("sealed", item=item)
    assert (await peer.submit(run, "look")).code == "done"
    action = {"type": STORE, "target_id": f"item:{item}", "arguments": {"item_id": item, "code": code}}
    said = await peer.submit(run, "draft", status="needs_approval", proposed_action=action)
    request = said.approval["request"]
    await room.judge("rita", request)
    committed = room.request(request).call.arguments["code"]
    assert (
        await peer.use(run, STORE, said.approval["approval_token"], item_id=item, code=committed)
    ).code == "done"
    assert room.stage.effects(item) == [{"item_id": item, "code": code}]
    assert code.encode() not in everything_kept(room)
    # In another run the same words are a value like any other, and no value of this tool.
    other = await at_the_write(peer, item)
    assert (await peer.use(other, STORE, item_id=item, code=committed)).code == "invalid_arguments"


async def test_what_a_reading_tool_echoes_of_a_secret_is_not_kept(room: Room, peer: Peer, item: str) -> None:
    code = f"echoed-{item}"
    run = await peer.open("sealed", item=item)
    read = await peer.use(run, "shop__try_code", item_id=item, code=code)
    assert read.body["result"]["content"][0]["text"] == f"{code} is right for {item}"
    kept = await peer.call("cite", run_id=run, source=read.observation)
    assert kept.body["quote"] == f"[secret] is right for {item}"
    assert code.encode() not in everything_kept(room)


async def test_case_61_an_error_that_repeats_the_secret_is_not_kept_either(
    room: Room, peer: Peer, item: str
) -> None:
    code = f"failing-{item}"
    run = await at_the_write(peer, item)
    asked = await room.approved(peer, run, STORE, item_id=item, code=code)
    room.stage.tell_upstream("fail_after")
    assert (await peer.use(run, STORE, asked.token, item_id=item, code=code)).code == "in_doubt"
    assert code.encode() not in everything_kept(room)


async def test_a_run_brings_a_bounded_number_of_secrets(room: Room, peer: Peer, item: str) -> None:
    run = await at_the_write(peer, item)
    said: list[Any] = [
        (await peer.use(run, STORE, item_id=item, code=f"code-{number}")).code
        for number in range(MAX_OF_ARGUMENT + 2)
    ]
    assert said[0] == "approval_required"
    assert said[-1] == "rate_limited"
