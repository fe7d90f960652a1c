"""Workflows and policies are taken anew while the server goes on; what does not load changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from policies.cedar import PolicySet
from server.reloading import reload_files
from server.standing_by import why_not_ready
from tests.rooms.stage import Room, Stage, served

CHANGE = "shop__change_item"


@pytest.fixture
async def own(stage: Stage) -> AsyncGenerator[Room]:
    async with served(stage) as room:
        yield room


def bring(stage: Stage, name: str) -> None:
    """A workflow under another name, made of one that there is."""
    folder = stage.folder.workflows_dir
    text = (folder / "change.yaml").read_text()
    assert "workflow" in text
    (folder / f"{name}.yaml").write_text(text.replace('"change"', f'"{name}"', 1))


async def test_a_new_workflow_is_opened_without_a_restart_and_open_runs_go_on(own: Room, era: str) -> None:
    _, key = await own.agent()
    async with own.peer(key, era) as peer:
        run = await peer.open("change")
        asked = await own.approved(peer, run, item_id="i-1", price=5)
        bring(own.stage, "later")
        assert (await peer.call("open_run", workflow="later", input={})).code == "invalid_arguments"
        reload_files(own.house, own.stage.folder)
        # The open run, and what was approved for it, is of the version that it started with.
        assert (await peer.use(run, CHANGE, asked.token, item_id="i-1", price=5)).code == "done"
        assert await peer.open("later")


async def test_a_workflow_that_does_not_load_changes_nothing(own: Room) -> None:
    before = dict(own.house.workflows)
    (own.stage.folder.workflows_dir / "broken.yaml").write_text("workflow: broken\n")
    reload_files(own.house, own.stage.folder)
    assert own.house.workflows == before
    _, key = await own.agent()
    async with own.peer(key) as peer:
        assert await peer.open("change")


async def test_the_folders_policies_are_taken_anew_as_at_a_start(own: Room) -> None:
    path = own.stage.folder.policy_dir / "no_more_runs.cedar"
    path.write_text('@id("no-more-runs")\nforbid (principal, action == Action::"open_run", resource);\n')
    assert PolicySet.load(own.stage.folder.policy_dir).digest != own.house.policies.digest
    reload_files(own.house, own.stage.folder)
    _, key = await own.agent()
    async with own.peer(key) as peer:
        refused = await peer.call("open_run", workflow="change", input={"item_id": "i-1", "request": "r"})
    assert refused.code == "policy_denied"


async def test_each_of_two_servers_is_up_to_date_once_it_has_loaded_the_same_files(
    stage: Stage, tmp_path: Path
) -> None:
    shutil.copytree(stage.folder.root, tmp_path / "copy")
    second = stage.moved(tmp_path / "copy")
    async with served(stage) as room, served(second, stage.folder.ledger_url) as other:
        for one in (stage, second):
            bring(one, "later")
        reload_files(room.house, stage.folder)
        assert why_not_ready(other.house) == ["gate"]
        reload_files(other.house, second.folder)
        assert why_not_ready(other.house) == why_not_ready(room.house) == []
        # Now the first one has another policy; the second must not put its older one back.
        path = stage.folder.policy_dir / "more.cedar"
        path.write_text('@id("more")\nforbid (principal, action == Action::"open_run", resource);\n')
        reload_files(room.house, stage.folder)
        reload_files(other.house, second.folder)
        assert why_not_ready(room.house) == []
