"""Evidence as MCP resources: the same scope, the same grant and the same record as through tools."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import TextResourceContents

from server import resources
from server.paging import page
from tests.rooms.files import ABOUT_DELIVERY
from tests.rooms.peers import Peer
from tests.rooms.stage import Room

INVALID_PARAMS = -32602


async def read(peer: Peer, uri: str) -> Any:
    (content,) = (await peer.client.read_resource(uri)).contents
    assert isinstance(content, TextResourceContents)
    assert content.mime_type == "application/json"
    return json.loads(content.text)


async def refused(peer: Peer, uri: str) -> tuple[int, str]:
    with pytest.raises(MCPError) as error:
        await peer.client.read_resource(uri)
    return error.value.error.code, error.value.error.message.replace(uri, "URI")


async def test_a_bundle_is_read_again_byte_for_byte_and_that_is_on_record(room: Room, peer: Peer) -> None:
    run = await peer.open("repair")
    said = await peer.call("read_context", run_id=run)
    again = await read(peer, f"bundle://{said.body['bundle']}?run_id={run}")
    assert again == {key: value for key, value in said.body.items() if key not in ("code", "bundle")}
    first, second = room.entries("bundle.served", run=run)
    assert (first.body["digest"], first.rests_on) == (second.body["digest"], second.rests_on)
    assert second.body["again"] is True


async def test_an_id_is_read_with_all_that_it_resolves_to_and_its_neighbourhood(
    room: Room, peer: Peer
) -> None:
    run = await peer.open("repair")
    item = (await peer.call("read_context", run_id=run)).body["items"][0]
    for form in (item["id"], item["id"].replace("@", "%40").replace(":", "%3A")):
        found = await read(peer, f"evidence://{form}?run_id={run}&around=1")
        source, _, rest = item["id"].partition("@")
        assert (found["id"], found["quote"], found["source"]) == (item["id"], item["quote"], source)
        assert str(found["version"]) == rest.partition(":")[0]
        assert found["digest"].startswith("sha256:")
        assert (found["standing"], found["successor"]) == ("current", None)
        assert item["quote"] in found["neighbourhood"]["quote"]
        wide = await read(peer, f"evidence://{found['neighbourhood']['id']}?run_id={run}")
        assert wide["quote"] == found["neighbourhood"]["quote"]
    served = room.entries("quote.served", run=run)
    assert served[0].body["id"] == item["id"]


async def test_case_69_a_pass_lists_its_own_runs_bundles_and_a_desk_none(room: Room, era: str) -> None:
    _, key = await room.agent()
    async with room.peer(key, era) as peer:
        run, other = await peer.open("repair"), await peer.open("repair", ABOUT_DELIVERY)
        theirs = (await peer.call("read_context", run_id=other)).body["bundle"]
        step_pass = (await peer.call("current_step", run_id=run, with_pass=True)).body["step_pass"]
        assert (await peer.client.list_resources()).resources == []
        forms = (await peer.client.list_resource_templates()).resource_templates
        assert [form.uri_template for form in forms] == [
            "evidence://{id}{?run_id,around}", "bundle://{id}{?run_id}",
            "run://{id}", "approval://{id}{?run_id}",
        ]  # fmt: skip
        async with room.peer(str(step_pass), era) as within:
            assert [one.uri for one in (await within.client.list_resources()).resources] == [f"run://{run}"]
            mine = (await within.call("read_context")).body["bundle"]
            assert [one.uri for one in (await within.client.list_resources()).resources] == [
                f"run://{run}",
                f"bundle://{mine}",
            ]
            assert (await read(within, f"bundle://{mine}"))["sufficiency"] == "sufficient"
            # Another run of the same agent: neither by its bundle nor by naming the run.
            absent = await refused(within, "bundle://bnd_none")
            assert await refused(within, f"bundle://{theirs}") == absent
            assert await refused(within, f"bundle://{theirs}?run_id={other}") == absent
        await peer.submit(run, "read")
        async with room.peer(str(step_pass), era) as stale:
            assert (await stale.client.list_resources()).resources == []
            code, message = await refused(stale, f"bundle://{mine}")
            assert code == INVALID_PARAMS
            assert "Unknown resource" not in message


ABSENT = {
    "case_69_case_72_a_source_under_a_label": "evidence://board@1:0-10",
    "case_69_case_101_beyond_the_text": "evidence://prices@1:0-999999",
    "a version that does not exist": "evidence://prices@9:0-10",
    "no provenance id": "evidence://prices",
    "a wild card": "evidence://%25@1:0-5",
    "a bundle that is none": "bundle://bnd_" + "0" * 40,
    "an approval request": "bundle://req_" + "0" * 26,
    "an approval request of nobody": "approval://req_" + "0" * 26,
}


@pytest.mark.parametrize("uri", ABSENT.values(), ids=ABSENT)
async def test_what_may_not_be_read_is_no_resource(peer: Peer, uri: str) -> None:
    run = await peer.open("repair")
    absent = await refused(peer, f"evidence://never@1:0-5?run_id={run}")
    assert await refused(peer, f"{uri}?run_id={run}") == absent
    assert absent == (INVALID_PARAMS, "Unknown resource: URI")


@pytest.mark.parametrize(
    "uri",
    ["file:///etc/passwd", "evidence:prices@1", "evidence://prices@1:0-5?run_id=run_x&x=1",
     "bundle://" + "b" * 500, "evidence://prices@1:0-5?around=6", "evidence://prices@1:0-5?around=-1", "https://example.org/"],
)  # fmt: skip
async def test_any_other_uri_is_no_resource_either(peer: Peer, uri: str) -> None:
    code, message = await refused(peer, uri)
    assert code == INVALID_PARAMS
    assert message.startswith("Unknown resource")


async def test_case_98_another_agents_bundle_is_as_if_absent(room: Room, peer: Peer, era: str) -> None:
    run = await peer.open("repair")
    bundle = (await peer.call("read_context", run_id=run)).body["bundle"]
    _, key = await room.agent()
    async with room.peer(key, era) as stranger:
        own = await stranger.open("repair")
        absent = await refused(stranger, f"bundle://bnd_none?run_id={own}")
        assert await refused(stranger, f"bundle://{bundle}?run_id={own}") == absent
        assert await refused(stranger, f"bundle://{bundle}?run_id={run}") == absent
        # The same need gives it the same bytes, and then they are its own.
        assert (await stranger.call("read_context", run_id=own)).body["bundle"] == bundle
        assert (await read(stranger, f"bundle://{bundle}?run_id={own}"))["v"] == 1


async def test_a_run_and_its_approvals_are_read_as_the_tools_tell_them(
    room: Room, peer: Peer, era: str, item: str
) -> None:
    run = await peer.open("change")
    asked = await peer.use(run, "shop__change_item", item_id=item, price=5)
    request = asked.approval["request"]
    seen = await read(peer, f"approval://{request}?run_id={run}")
    assert seen == {**asked.approval, "state": "pending"}
    told = await read(peer, f"run://{run}")
    step = await peer.call("current_step", run_id=run)
    assert told == {key: value for key, value in step.body.items() if key != "code"}
    _, key = await room.agent()
    async with room.peer(key, era) as stranger:
        own = await stranger.open("change")
        absent = await refused(stranger, f"approval://req_none?run_id={own}")
        assert await refused(stranger, f"approval://{request}?run_id={own}") == absent
        assert await refused(stranger, f"approval://{request}?run_id={run}") == absent
        assert await refused(stranger, f"run://{run}") == absent == (INVALID_PARAMS, "Unknown resource: URI")


async def test_a_long_list_comes_in_pages_and_a_cursor_that_is_none_is_refused(
    room: Room, peer: Peer, era: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await peer.open("repair")
    issued = await peer.call("current_step", run_id=run, with_pass=True)
    monkeypatch.setattr(resources, "page", partial(page, size=2))
    async with room.peer(str(issued.body["step_pass"]), era) as within:
        for need in ("When may a price change?", "Who names a label?", "Is a price negative?"):
            await within.call("read_context", need=need)
        seen: list[str] = []
        cursor: str | None = None
        while True:
            listed = await within.client.list_resources(cursor=cursor)
            assert len(listed.resources) <= 2
            seen += [one.uri for one in listed.resources]
            cursor = listed.next_cursor
            if cursor is None:
                break
        assert seen[0] == f"run://{run}"
        assert len(seen) == len(set(seen)) == 4
        for wrong in ("nonsense", "cDEuMA", "cDEuLTE", "cDEuOTk5"):
            for listing in (within.client.list_resources, within.client.list_tools):
                with pytest.raises(MCPError, match="Unknown cursor"):
                    await listing(cursor=wrong)
