"""A write in doubt: it holds its target until a human has looked and signed what they found."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest

from ledger.clock import system_now_ms
from policies.audit_rules import check_complete
from policies.settlements import Finding, sign_settlement
from server.sending import OperationFailed
from tests.rooms.peers import Peer
from tests.rooms.stage import Room, until
from tool_scopes.executions import settle_execution

CHANGE = "shop__change_item"


async def in_doubt(room: Room, peer: Peer, item: str) -> tuple[str, str, str]:
    """A run with a write in doubt (case 95): the run, its token, and the execution."""
    run = await peer.open("change")
    asked = await room.approved(peer, run, item_id=item, price=5)
    room.stage.tell_upstream("fail_after")
    said = await peer.use(run, CHANGE, asked.token, item_id=item, price=5)
    room.stage.tell_upstream("")
    assert said.code == "in_doubt"
    return run, asked.token, str(said.body["execution"])


async def listed(room: Room) -> list[dict[str, Any]]:
    """The writes that hold their targets, as a person is shown them."""
    waiting: Any = await room.ask("rita", "execution.list")
    return waiting["executions"]


def finding(room: Room, person: str, execution: str, outcome: Finding) -> dict[str, Any]:
    """What the command line sends for a person who has looked."""
    signed = sign_settlement(
        room.stage.keys[person], execution, outcome, at=system_now_ms(), note="The shelf shows it."
    )
    found = signed.settlement
    told = {"note": found.note, "at": found.at, "kid": signed.kid, "signature": signed.signature}
    return {"execution": execution, "outcome": outcome, **told}


@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
async def test_case_95_a_signed_finding_frees_the_target_and_nothing_is_sent_again(
    room: Room, peer: Peer, item: str, outcome: Finding
) -> None:
    run, token, execution = await in_doubt(room, peer, item)
    assert execution in {one["execution"] for one in await listed(room)}
    rival = await room.approved(peer, run, item_id=item, price=6)
    assert (await peer.use(run, CHANGE, rival.token, item_id=item, price=6)).code == "target_changed"
    frames = room.stage.frames()
    await room.ask("rita", "execution.settle", **finding(room, "rita", execution, outcome))
    assert room.stage.frames() == frames
    spent = await peer.use(run, CHANGE, token, item_id=item, price=5)
    assert (spent.code, spent.body["status"]) == ("approval_spent", outcome)
    last = room.entries("execution.settled", run=run)[-1]
    assert (last.principal, last.body["state"]) == ("rita", outcome)
    assert (await peer.use(run, CHANGE, rival.token, item_id=item, price=6)).code == "done"
    assert list(check_complete(room.house.ledger.entries())) == []


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "the agent's owner": ("olga", {}, "may not judge"),
    "another outcome than was signed": ("rita", {"outcome": "succeeded"}, "not over this finding"),
    "another note than was signed": ("rita", {"note": "Trust me."}, "not over this finding"),
    "an old finding": ("rita", {"at": 1}, "not dated now"),
    "another tenant": ("orla", {}, "There is no execution"),
}


@pytest.mark.parametrize(("person", "changes", "why"), WRONG.values(), ids=WRONG)
async def test_what_is_no_signed_finding_frees_nothing(
    room: Room, peer: Peer, item: str, person: str, changes: dict[str, Any], why: str
) -> None:
    run, token, execution = await in_doubt(room, peer, item)
    told = {**finding(room, person, execution, "failed"), **changes}
    with pytest.raises(OperationFailed, match=why):
        await room.ask(person, "execution.settle", **told)
    spent = await peer.use(run, CHANGE, token, item_id=item, price=5)
    assert spent.body["status"] == "in_doubt"


async def test_what_is_certain_or_under_way_no_finding_changes(room: Room, peer: Peer, item: str) -> None:
    run = await peer.open("change")
    asked = await room.approved(peer, run, item_id=item, price=5)
    done = await peer.use(run, CHANGE, asked.token, item_id=item, price=5)
    told = finding(room, "rita", str(done.body["execution"]), "failed")
    with pytest.raises(OperationFailed, match="only one in doubt"):
        await room.ask("rita", "execution.settle", **told)
    refused, busy = "", await room.approved(peer, run, item_id=item, price=6)
    frames = room.stage.frames()
    room.stage.tell_upstream("wait")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(peer.use, run, CHANGE, busy.token, item_id=item, price=6))
        await until(lambda: room.stage.frames() == frames + 1)
        (going,) = (one for one in await listed(room) if one["state"] == "executing")
        told = finding(room, "rita", going["execution"], "failed")
        try:
            refused = str(await room.ask("rita", "execution.settle", **told))
        except OperationFailed as error:
            refused = str(error)
        room.stage.let_go()
    assert "is under way; only one in doubt" in refused
    assert room.request(busy.approval["request"]).state == "succeeded"


async def test_a_late_answer_that_contradicts_a_finding_is_written_down(
    room: Room, peer: Peer, item: str
) -> None:
    run, _, execution = await in_doubt(room, peer, item)
    await room.ask("rita", "execution.settle", **finding(room, "rita", execution, "failed"))
    assert await room.work(lambda tx: settle_execution(tx, execution, "succeeded", "a late answer")) is False
    (contradicted,) = room.entries("execution.contradicted", run=run)
    assert (contradicted.body["stands"], contradicted.body["said"]) == ("failed", "succeeded")


async def test_a_settlement_by_hand_without_a_signature_is_found_by_the_audit(
    room: Room, peer: Peer, item: str
) -> None:
    _, _, execution = await in_doubt(room, peer, item)
    await room.ask("rita", "execution.settle", **finding(room, "rita", execution, "failed"))
    entries = list(room.house.ledger.entries())
    last = entries[-1]
    statement: Any = last.body["statement"]
    last.body["statement"] = {**statement, "note": "Something else."}
    assert any("no key of theirs signed" in fault for fault in check_complete(entries))
