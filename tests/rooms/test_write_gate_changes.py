"""Between approval and call the world may change: its evidence, its files, its tools, its time."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from anyio import to_thread

from context_store.opening import open_knowledge
from context_store.releases import retire
from ledger.keyring import KeyRing
from server.open_ledger import open_ledger
from tests.rooms.clock import Clock
from tests.rooms.files import catalogue
from tests.rooms.peers import ERAS, Peer, Said
from tests.rooms.stage import Room, Stage, publish_text, served
from tests.rooms.wire import wired

CHANGE = "shop__change_item"
ABOUT_STAMPS = (
    "---\ncollection: rules\n---\n# Stamps {0}\n\nStamp {0} is glued beside the barcode of parcel {0}."
)


@pytest.mark.parametrize("how", ["superseded", "retired"])
async def test_case_45_evidence_that_was_shown_and_is_no_longer_in_force_closes_the_approval(
    room: Room, peer: Peer, item: str, how: str
) -> None:
    source = f"stamps-{item}"
    text = ABOUT_STAMPS.format(item)
    publishing = partial(publish_text, room.house.store, room.house.ledger, f"{source}.md")
    await to_thread.run_sync(publishing, text)
    run, unaware = await peer.open("change"), await peer.open("change")
    bundle = await peer.call("read_context", run_id=run, need=f"Where is stamp {item} glued on the parcel?")
    assert any(one["id"].startswith(f"{source}@1") for one in bundle.body["items"])
    asked = await room.approved(peer, run, item_id=item, price=5)
    other = await room.approved(peer, unaware, item_id=f"{item}-b", price=5)
    if how == "retired":
        await to_thread.run_sync(retire, room.house.store, room.house.ledger, "acme", source, "ada")
    else:
        await to_thread.run_sync(publishing, text.replace("glued", "printed"))
    said = await peer.use(run, CHANGE, asked.token, item_id=item, price=5)
    assert said.code == "evidence_changed"
    assert room.request(asked.approval["request"]).state == "approved"
    assert room.stage.effects(item) == []
    # A run that was not shown it does not rest on it.
    assert (await peer.use(unaware, CHANGE, other.token, item_id=f"{item}-b", price=5)).code == "done"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Two runs with an approved write each, one for each era, and the key of their agent."""

    key: str
    item: str
    runs: dict[str, str]
    asked: dict[str, Said]

    async def spend(self, room: Room, era: str) -> Said:
        async with room.peer(self.key, era) as peer:
            return await peer.use(
                self.runs[era], CHANGE, self.asked[era].token, item_id=f"{self.item}-{era}", price=5
            )

    async def codes(self, room: Room) -> set[str]:
        return {(await self.spend(room, era)).code for era in ERAS}


async def approved_before(stage: Stage, item: str) -> Waiting:
    """Run a server, get two writes approved, and stop the server again."""
    async with served(stage) as room:
        return await approved_in(room, item)


async def approved_in(room: Room, item: str) -> Waiting:
    """Two approved writes, one for each era."""
    _, key = await room.agent()
    runs, asked = dict[str, str](), dict[str, Said]()
    for era in ERAS:
        async with room.peer(key, era) as peer:
            runs[era] = await peer.open("change")
            asked[era] = await room.approved(peer, runs[era], item_id=f"{item}-{era}", price=5)
    return Waiting(key, item, runs, asked)


async def test_a_restart_with_the_same_files_changes_nothing(stage: Stage, item: str) -> None:
    waiting = await approved_before(stage, item)
    async with served(stage) as room:
        assert await waiting.codes(room) == {"done"}
        assert await waiting.codes(room) == {"approval_spent"}
    async with served(stage) as room:
        assert await waiting.codes(room) == {"approval_spent"}
    assert len(stage.effects()) == 2


def tighter(root: Path) -> None:
    with (root / "policy" / "agents.cedar").open("a") as file:
        file.write(
            '\n@id("less")\nforbid (principal is Agent, action == Action::"propose_source", resource);\n'
        )


def other_time_limit(root: Path) -> None:
    (root / "catalogue" / "shop.yaml").write_text(catalogue(timeout_s=9))


def other_default(root: Path) -> None:
    (root / "recording" / "listing").write_text("other_default")
    (root / "catalogue" / "shop.yaml").write_text(catalogue(accept="other_default"))


CHANGED_FILES: dict[str, tuple[Callable[[Path], None], str]] = {
    "case_46_tighter": (tighter, "policy_changed"),
    "case_46_the_catalogue": (other_time_limit, "policy_changed"),
    "case_4_another_default_was_accepted": (other_default, "approval_mismatch"),
}


@pytest.mark.parametrize(("change", "code"), CHANGED_FILES.values(), ids=CHANGED_FILES)
async def test_an_approval_does_not_outlive_the_files_that_it_was_given_under(
    stage: Stage, item: str, change: Callable[[Path], None], code: str
) -> None:
    waiting = await approved_before(stage, item)
    change(stage.folder.root)
    if change is other_default:
        stage.agree_to_files()  # a tool that only simulates is another one too
    async with served(stage) as room:
        assert await waiting.codes(room) == {code}
        assert stage.frames() == 0
        # What is asked for now is judged under the files of now.
        async with room.peer(waiting.key) as peer:
            run = waiting.runs["auto"]
            fresh = await room.approved(peer, run, item_id=f"{item}-auto", price=5)
            assert fresh.token != waiting.asked["auto"].token
            said = await peer.use(run, CHANGE, fresh.token, item_id=f"{item}-auto", price=5)
            assert said.code == "done"


@pytest.mark.parametrize("change", ["other_words", "other_default"])
async def test_case_6_and_case_66_a_tool_that_its_upstream_changed_is_gone_until_it_is_accepted(
    stage: Stage, item: str, change: str
) -> None:
    waiting = await approved_before(stage, item)
    (stage.recording / "listing").write_text(change)
    async with served(stage) as room:
        assert await waiting.codes(room) == {"unknown_tool"}
        async with room.peer(waiting.key, path="/change/act") as at_url:
            assert CHANGE not in await at_url.names()
    (stage.recording / "listing").unlink()
    async with served(stage) as room:
        assert await waiting.codes(room) == {"done"}


async def test_a_run_keeps_the_workflow_that_it_started_with(stage: Stage, item: str) -> None:
    waiting = await approved_before(stage, item)
    path = stage.folder.workflows_dir / "change.yaml"
    path.write_text(path.read_text().replace('"To execute."', '"To execute, slowly."'))
    async with served(stage) as room:
        async with room.peer(waiting.key) as peer:
            told = await peer.call("current_step", run_id=waiting.runs["auto"])
            assert told.body["purpose"] == "To execute."
            new = await peer.open("change")
            assert (await peer.call("current_step", run_id=new)).body["purpose"] == "To execute, slowly."
        assert await waiting.codes(room) == {"done"}


async def test_files_edited_under_a_running_server_change_nothing_there(stage: Stage, item: str) -> None:
    async with served(stage) as room:
        waiting = await approved_in(room, item)
        tighter(stage.folder.root)
        other_time_limit(stage.folder.root)
        assert await waiting.codes(room) == {"done"}


async def test_case_25_an_approval_that_has_expired_opens_nothing(
    stage: Stage, clock: Clock, item: str
) -> None:
    async with served(stage) as room:
        waiting = await approved_in(room, item)
        clock.ahead_ms = 60 * 60_000 - 30_000
        assert (await waiting.spend(room, "auto")).code == "done"
        clock.ahead_ms = 60 * 60_000 + 1
        assert (await waiting.spend(room, "legacy")).code == "approval_expired"
        assert (await waiting.spend(room, "auto")).code == "approval_spent"
        async with room.peer(waiting.key) as peer:
            fresh = await peer.use(waiting.runs["legacy"], CHANGE, item_id=f"{item}-legacy", price=5)
            assert fresh.code == "approval_required"
            assert fresh.token != waiting.asked["legacy"].token
    assert stage.effects(f"{item}-legacy") == []


async def test_case_26_a_clock_that_was_set_back_stops_writes_until_it_is_right_again(
    stage: Stage, clock: Clock, item: str
) -> None:
    async with served(stage) as room:
        waiting = await approved_in(room, item)
        clock.ahead_ms = 60_000
        async with room.peer(waiting.key) as peer:
            await peer.open("change")
        clock.ahead_ms = 0
        assert await waiting.codes(room) == {"unavailable"}
        assert stage.effects() == []
        clock.ahead_ms = 60_000
        assert await waiting.codes(room) == {"done"}


async def test_a_pass_ends_with_its_time(stage: Stage, clock: Clock, era: str) -> None:
    async with served(stage) as room:
        _, key = await room.agent()
        async with room.peer(key, era) as peer:
            run = await peer.open("change")
            issued = await peer.call("current_step", run_id=run, with_pass=True)
        async with wired(room.url, str(issued.body["step_pass"]), era) as within:
            assert (await within.call("current_step", "{}")).status_code == 200
            clock.ahead_ms = 3_600_001
            assert (await within.call("current_step", "{}")).status_code == 401


async def test_case_90_a_version_that_another_server_retired_closes_the_approval(
    room: Room, peer: Peer, item: str, tmp_path: Path
) -> None:
    # In words of its own: this server's library goes on serving it, and no other test may come upon it.
    own = item.replace("-", "")
    source, text = (
        f"lantern-{item}",
        f"---\ncollection: rules\n---\n# Lanterns\n\nLantern{own} hangs by gate{own}.",
    )
    publishing = partial(publish_text, room.house.store, room.house.ledger, f"{source}.md")
    await to_thread.run_sync(publishing, text)
    run = await peer.open("change")
    bundle = await peer.call("read_context", run_id=run, need=f"Lantern{own} by gate{own}")
    assert any(one["id"].startswith(f"{source}@1") for one in bundle.body["items"])
    asked = await room.approved(peer, run, item_id=item, price=5)

    def retire_elsewhere() -> None:
        """Another server has a copy of the library of its own; only the ledger is shared."""
        with room.house.store.still() as file:
            shutil.copyfile(file, tmp_path / "copy.duckdb")
        folder = room.stage.folder
        with (
            open_ledger(folder, KeyRing.load(folder.keys_dir)) as ledger,
            open_knowledge(tmp_path / "copy.duckdb", ledger) as store,
        ):
            retire(store, ledger, "acme", source, "ada")

    await to_thread.run_sync(retire_elsewhere)
    said = await peer.use(run, CHANGE, asked.token, item_id=item, price=5)
    assert said.code == "evidence_changed"
    assert room.request(asked.approval["request"]).state == "approved"
    assert room.stage.effects(item) == []
