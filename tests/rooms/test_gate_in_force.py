"""What is in force: policies that change while work goes on, files that lower the gate, freezes, labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from ledger.transaction import Transaction
from policies.agents import set_labels
from policies.audit_rules import check_complete
from policies.gate_proof import GateUnproven
from policies.gate_state import GateDigests, load_gate, read_gate, set_frozen
from policies.people import withdraw_roles
from policies.policy_files import read_policy_files
from policies.tables import gate_state
from policies.taking import GateLowered
from server.sending import OperationFailed
from tests.rooms.peers import Peer, Said
from tests.rooms.stage import Room, Stage, served
from tool_scopes import tool_calls

CHANGE = "shop__change_item"
TIGHTER = (
    '\n@id("less")\n@says("Prices are not read this week.")\n'
    'forbid (principal is Agent, action == Action::"use_tool", resource) '
    'when { resource.id == "shop__read_item" };\n'
)
LOOSER = (
    '\n@id("more")\npermit (principal is Person, action == Action::"propose_source", resource) '
    'when { principal.roles.contains("admin") };\n'
)
BROKEN = '\n@id("more")\npermit (principal is Person, action == Action::"judge_approval", resource);\n'


def policies(root: Path, more: str = "") -> dict[str, str]:
    """The folder's policies, with something added to one file."""
    files = dict(read_policy_files(root / "policy"))
    return {**files, "people.cedar": files["people.cedar"] + more}


def loading(room: Room, more: str) -> dict[str, Any]:
    """The arguments that bring the policies into force with something added."""
    return {"files": policies(room.stage.folder.root, more), "base": room.house.policies.digest}


async def approved(room: Room, item: str) -> tuple[str, str, Said]:
    """An agent's key, its run, and a write of it that rita approved."""
    _, key = await room.agent(name=f"agent-of-{item}")
    async with room.peer(key) as peer:
        run = await peer.open("change")
        return key, run, await room.approved(peer, run, item_id=item, price=5)


async def spend(room: Room, item: str, key: str, run: str, asked: Said) -> str:
    async with room.peer(key) as peer:
        return (await peer.use(run, CHANGE, asked.token, item_id=item, price=5)).code


@pytest.mark.parametrize("more", [TIGHTER, LOOSER], ids=["case_46_tighter", "case_46_looser"])
async def test_policies_that_change_under_a_running_server_void_what_was_approved_before(
    stage: Stage, item: str, more: str
) -> None:
    async with served(stage) as room:
        waiting = await approved(room, item)
        args = loading(room, more)
        if more == TIGHTER:
            await room.ask("ada", "policy.load", **args)
        else:
            await room.both("ada", "olga", "policy.load", **args)
        assert await spend(room, item, *waiting) == "policy_changed"
        assert stage.frames() == 0
        assert room.read(read_gate).policy == room.house.policies.digest
        fresh = await approved(room, f"{item}-b")
        assert await spend(room, f"{item}-b", *fresh) == "done"
    # The next start has the same files, and what was approved under them is still good.
    async with served(stage) as room:
        assert "more" in room.house.policies.now.ids or "less" in room.house.policies.now.ids


async def test_case_47_a_running_server_refuses_a_set_that_breaks_an_invariant_and_goes_on(
    stage: Stage, item: str
) -> None:
    async with served(stage) as room:
        waiting = await approved(room, item)
        before = room.read(read_gate)
        for more, why in (
            (BROKEN, "invariant 'only-reviewers-judge' is broken"),
            ("permit(", "is not Cedar"),
        ):
            with pytest.raises(OperationFailed, match=why):
                await room.ask("ada", "policy.load", **loading(room, more))
        with pytest.raises(OperationFailed, match="Other policies came into force"):
            await room.ask("ada", "policy.load", **{**loading(room, TIGHTER), "base": "sha256:older"})
        assert room.read(read_gate) == before
        assert await spend(room, item, *waiting) == "done"


@pytest.mark.parametrize("more", [BROKEN, "permit(", LOOSER], ids=["broken", "no_cedar", "looser"])
async def test_case_47_a_set_that_may_not_come_into_force_by_a_start_leaves_the_old_one(
    stage: Stage, item: str, more: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(stage) as room:
        waiting = await approved(room, item)
    with (stage.folder.policy_dir / "people.cedar").open("a") as file:
        file.write(more)
    async with served(stage) as room:
        assert await spend(room, item, *waiting) == "done"
        assert "more" not in room.house.policies.now.ids
    assert "the policies in force go on" in caplog.text


async def test_case_47_nobody_loads_what_allows_more_alone(stage: Stage) -> None:
    async with served(stage) as room:
        before = room.house.policies.digest
        proposed = await room.ask("ada", "policy.load", **loading(room, LOOSER))
        act: Any = proposed["proposed"]
        assert act["lowers"] == ["more permits something that was not permitted so before"]
        shown: Any = await room.ask("olga", "act.show", act=act["act"])
        assert '+@id("more")' in shown["what"]
        with pytest.raises(OperationFailed, match="You proposed"):
            await room.ask("ada", "act.sign", act=act["act"], digest=act["digest"])
        with pytest.raises(OperationFailed, match="not what you saw"):
            await room.ask("olga", "act.sign", act=act["act"], digest="sha256:other")
        assert room.house.policies.digest == before


def reclassified(root: Path) -> None:
    """The write is a read now, by an edit of the file."""
    path = root / "catalogue" / "shop.yaml"
    whole = json.loads(path.read_text())
    whole["tools"]["change_item"][0]["effect"] = "read"
    whole["tools"]["change_item"][0].pop("target")
    whole["tools"]["change_item"][0].pop("no_effect_errors")
    path.write_text(json.dumps(whole))
    flow = root / "workflows" / "change.yaml"
    flow.write_text(flow.read_text().replace('"kind": "execute"', '"kind": "read"', 2))
    (root / "workflows" / "double.yaml").unlink()  # it makes the same change


def repointed(root: Path) -> None:
    path = root / "catalogue" / "shop.yaml"
    path.write_text(path.read_text().replace('"${DATA}/recording"', '"${DATA}/elsewhere"'))


def not_sensitive(root: Path) -> None:
    path = root / "catalogue" / "shop.yaml"
    path.write_text(path.read_text().replace('"sensitive": true', '"sensitive": false'))


LOWERED: dict[str, tuple[Callable[[Path], None], str]] = {
    "case_87_a_write_is_a_read": (reclassified, "shop__change_item is a read, and no longer a write"),
    "case_88_another_environment": (repointed, "upstream shop is reached in another way"),
    "a_sensitive_tool_is_not": (
        not_sensitive,
        "shop__change_big is no longer sensitive, needs fewer approvals",
    ),
}


@pytest.mark.parametrize(("change", "why"), LOWERED.values(), ids=LOWERED)
async def test_a_catalogue_that_lowers_the_gate_is_not_loaded_until_two_people_agreed(
    stage: Stage, item: str, change: Callable[[Path], None], why: str
) -> None:
    async with served(stage) as room:
        waiting = await approved(room, item)
    original = (stage.folder.catalogue_dir / "shop.yaml").read_text()
    change(stage.folder.root)
    with pytest.raises(GateLowered, match=why):
        async with served(stage):
            pass
    assert stage.frames() == 0
    edited = (stage.folder.catalogue_dir / "shop.yaml").read_text()
    (stage.folder.catalogue_dir / "shop.yaml").write_text(original)
    if change is reclassified:
        return  # the step's kind changed with it, so nothing was approved that could still be spent
    async with served(stage) as room:
        (stage.folder.catalogue_dir / "shop.yaml").write_text(edited)
        found = await room.ask("ada", "upstream.changes")
        assert found["lowers"] == [why]
        await room.both("ada", "olga", "upstream.load", digest=found["digest"], base=found["base"])
        assert await spend(room, f"{item}-b", *(await approved(room, f"{item}-b"))) == "done"
    async with served(stage) as room:
        assert await spend(room, item, *waiting) == "policy_changed"
        assert room.entries("gate.loaded")[-1].body["acts"] == [room.entries("act.signed")[-1].body["act"]]
        assert room.entries("gate.loaded")[-1].body["lowers"] == [why]
    # What was agreed to is used up: back again is no matter, and forth again takes two again.
    (stage.folder.catalogue_dir / "shop.yaml").write_text(original)
    if change is not_sensitive:
        async with served(stage):
            pass
        (stage.folder.catalogue_dir / "shop.yaml").write_text(edited)
        with pytest.raises(GateLowered):
            async with served(stage):
                pass


async def test_a_looser_workflow_is_not_loaded_until_two_people_agreed(stage: Stage, item: str) -> None:
    flow = stage.folder.workflows_dir / "double.yaml"
    async with served(stage) as room:
        waiting = await approved(room, item)
    original = flow.read_text()
    looser = original.replace('"approvals": 2', '"approvals": 1')
    flow.write_text(looser)
    why = "step act of double needs fewer approvals"
    with pytest.raises(GateLowered, match=f"{why}.*bailiwick workflow load"):
        async with served(stage):
            pass
    flow.write_text(original)
    async with served(stage) as room:
        flow.write_text(looser)
        found = await room.ask("ada", "workflow.changes")
        assert found["lowers"] == [why]
        await room.both("ada", "olga", "workflow.load", digest=found["digest"], base=found["base"])
    async with served(stage) as room:
        loaded = room.entries("gate.loaded")[-1].body
        assert (loaded["lowers"], len(cast("list[str]", loaded["acts"]))) == ([why], 1)
        # Every other workflow is as it was, and so is what was approved in it.
        assert await spend(room, item, *waiting) == "done"
        assert list(check_complete(room.house.ledger.entries())) == []
    # What was agreed to is used up: back again is no matter, and forth again takes two again.
    flow.write_text(original)
    async with served(stage):
        pass
    flow.write_text(looser)
    with pytest.raises(GateLowered):
        async with served(stage):
            pass


async def test_a_server_does_not_start_on_a_gate_that_was_set_by_hand(stage: Stage) -> None:
    async with served(stage) as room:
        await room.ask("olga", "freeze", reason="a drill")
        await room.work(lambda tx: tx.execute(gate_state.update().values(frozen="{}")))
    with pytest.raises(GateUnproven, match="frozen is empty in the table"):
        async with served(stage):
            pass


async def test_a_server_whose_files_are_not_those_in_force_does_nothing(stage: Stage, item: str) -> None:
    async with served(stage) as room:
        key, run, asked = await approved(room, item)
        async with room.peer(key) as peer:
            reading = await peer.open("repair")

            async def codes() -> set[str]:
                said = [
                    await peer.use(reading, "shop__read_item"),
                    await peer.use(run, CHANGE, asked.token, item_id=item, price=5),
                    await peer.use(run, CHANGE, item_id=f"{item}-b", price=5),
                    await peer.call("read_context", run_id=reading),
                    await peer.call("open_run", workflow="change", input={"item_id": "i", "request": "r"}),
                ]
                return {one.code for one in said}

            mine = room.read(read_gate)
            digests = GateDigests(mine.policy, "sha256:other", {"refund": "sha256:other"})
            await room.work(lambda tx: load_gate(tx, digests, by="another server"))
            assert await codes() == {"unavailable"}
            assert stage.frames() == 0
            assert stage.frames("read_item") == 0


@pytest.mark.parametrize("what", ["agent", "tool"])
async def test_case_52_one_agent_or_one_tool_is_frozen_and_the_others_go_on(
    stage: Stage, item: str, what: str
) -> None:
    async with served(stage) as room:
        name, key = await room.agent()
        _, other_key = await room.agent()
        async with room.peer(key) as peer, room.peer(other_key) as other:
            runs = [await one.open("change") for one in (peer, other)]
            reads = [await one.open("repair") for one in (peer, other)]
            asked = [
                await room.approved(one, runs[at], item_id=f"{item}-{at}", price=5)
                for at, one in enumerate((peer, other))
            ]

            async def codes(one: Peer, at: int) -> list[str]:
                said = [
                    await one.use(runs[at], CHANGE, asked[at].token, item_id=f"{item}-{at}", price=5),
                    await one.use(reads[at], "shop__read_item"),
                    await one.call("read_context", run_id=reads[at]),
                    await one.submit(reads[at], "read"),
                ]
                return [answer.code for answer in said]

            frozen = {"agent": name} if what == "agent" else {"tool": CHANGE}
            await room.ask("olga", "freeze", reason="a drill", **frozen)
            if what == "agent":
                assert await codes(peer, 0) == ["frozen"] * 4
                opened = await peer.call(
                    "open_run", workflow="change", input={"item_id": "i", "request": "r"}
                )
                assert opened.code == "frozen"
                assert (await codes(other, 1))[:3] == ["done"] * 3
            else:
                assert (await codes(peer, 0))[:3] == ["frozen", "done", "done"]
                assert (await codes(other, 1))[:3] == ["frozen", "done", "done"]
                assert stage.frames() == 0
            assert "a drill" in str(room.entries("call.refused")[-1].body["reason"])
            await room.both("olga", "ada", "unfreeze", **frozen)
            assert (await codes(peer, 0))[0] == "done"


@pytest.mark.parametrize("wrong", [{"agent": "nobody"}, {"tool": "shop__nothing"}])
async def test_what_is_not_there_cannot_be_frozen(room: Room, wrong: dict[str, str]) -> None:
    with pytest.raises(OperationFailed, match="There is no"):
        await room.ask("olga", "freeze", **wrong)
    with pytest.raises(OperationFailed, match="one at a time"):
        await room.ask("olga", "freeze", agent="a", tool="b")


def freeze(tx: Transaction) -> None:
    set_frozen(tx, frozen=True, by="olga", reason="now")


def freeze_the_tool(tx: Transaction) -> None:
    set_frozen(tx, frozen=True, by="olga", reason="now", what=f"tool:{CHANGE}")


def take_the_role(tx: Transaction) -> None:
    withdraw_roles(tx, "rita", frozenset({"reviewer"}), tenant="acme", by="olga")


BETWEEN: dict[str, tuple[Callable[[Transaction], None], str]] = {
    "case_89_everything_is_frozen": (freeze, "frozen"),
    "case_89_the_tool_is_frozen": (freeze_the_tool, "frozen"),
    "case_89_the_role_is_lost": (take_the_role, "approval_pending"),
}


@pytest.mark.parametrize(("happen", "code"), BETWEEN.values(), ids=BETWEEN)
async def test_what_happens_between_the_decision_and_the_redemption_counts(
    stage: Stage,
    item: str,
    monkeypatch: pytest.MonkeyPatch,
    happen: Callable[[Transaction], None],
    code: str,
) -> None:
    carry_out = tool_calls.carry_out_write

    async def meanwhile(*arguments: Any) -> Any:
        await room.work(happen)
        return await carry_out(*arguments)

    async with served(stage) as room:
        waiting = await approved(room, item)
        monkeypatch.setattr(tool_calls, "carry_out_write", meanwhile)
        assert await spend(room, item, *waiting) == code
        assert stage.frames() == 0


async def test_evidence_with_a_label_is_read_by_agents_that_hold_it(stage: Stage) -> None:
    path = stage.folder.workflows_dir / "repair.yaml"
    path.write_text(path.read_text().replace('"collections": [', '"labels": ["board"], "collections": ['))
    need = "When does the board sell the price list?"
    async with served(stage) as room:
        name, key = await room.agent()
        async with room.peer(key) as peer:
            run = await peer.open("repair")

            async def quotes() -> list[str]:
                said = await peer.call("read_context", run_id=run, need=need)
                assert said.code == "done"
                return [one["id"] for one in said.body["items"] if one["id"].startswith("board@")]

            assert await quotes() == []
            await room.work(lambda tx: set_labels(tx, name, frozenset({"board"}), by="olga"))
            held = await quotes()
            assert held
            assert (await peer.call("cite", run_id=run, source=held[0])).code == "done"
            await room.work(lambda tx: set_labels(tx, name, frozenset({"hr"}), by="olga"))
            assert await quotes() == []
            absent = await peer.call("cite", run_id=run, source=held[0])
            never = await peer.call("cite", run_id=run, source="nothing@1:0-5")
            assert (absent.code, absent.text) == (never.code, never.text) == ("unknown_tool", never.text)


async def test_a_step_says_which_of_its_tools_policy_denies_and_why(stage: Stage) -> None:
    async with served(stage) as room:
        _, key = await room.agent()
        async with room.peer(key) as peer:
            run = await peer.open("repair")
            before = await peer.call("current_step", run_id=run)
            assert "denied" not in before.text
            await room.ask("ada", "policy.load", **loading(room, TIGHTER))
            after = await peer.call("current_step", run_id=run)
            assert [tool["denied"] for tool in after.body["tools"]] == ["Prices are not read this week."]
            assert (await peer.use(run, "shop__read_item")).code == "policy_denied"


async def test_a_trace_says_whether_one_admin_alone_may_lower_the_gate(room: Room, peer: Peer) -> None:
    run = await peer.open("change")
    traced = await room.ask("rita", "run.trace", run=run)
    assert traced["single_handed"] is False
