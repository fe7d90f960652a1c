"""Identity: without a credential that is good now there is no answer but 401, and no step but a real one."""

from __future__ import annotations

import httpx2
import pytest

from ledger.clock import system_now_ms
from policies.agents import revoke_agent
from tests.rooms.peers import Peer
from tests.rooms.stage import Room
from tests.rooms.wire import code_of, wired
from tool_scopes.passes import issue_pass
from tool_scopes.runs import find_run

PLACES = ("", "/change/act")
JUNK = {
    "none": None,
    "empty": "",
    "junk": "Bearer junk",
    "an unknown key": "Bearer bwk_" + "0" * 26,
    "an unknown pass": "Bearer bwp_" + "0" * 26,
    "an approval token": "Bearer apr_" + "0" * 26,
    "a run": "Bearer run_" + "0" * 26,
    "another scheme": "Basic KEY",
    "a key in upper case": "Bearer UPPER",
    "a key as a pass": "Bearer AS_PASS",
    "a key and a space": "Bearer K E Y",
    "not ASCII": "Bearer bwk_\xe9",
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("header", JUNK.values(), ids=JUNK)
async def test_without_a_good_credential_the_answer_is_401(
    room: Room, era: str, header: str | None, place: str
) -> None:
    _, key = await room.agent()
    told = None
    if header is not None:
        told = header.replace("UPPER", key.upper()).replace("AS_PASS", "bwp_" + key[4:])
        told = told.replace("K E Y", f"{key[:10]} {key[10:]}").replace("KEY", key)
    async with wired(room.url, key, era) as wire:
        wire.url = room.url + place
        del wire.http.headers["authorization"]
        if told is not None:
            wire.http.headers = httpx2.Headers([(b"authorization", told.encode("latin-1"))])
        listing = await wire.call("current_step", "{}")
        assert listing.status_code == 401
        assert listing.headers["www-authenticate"].startswith("Bearer")
        assert key[4:] not in listing.text


@pytest.mark.parametrize("place", PLACES)
async def test_two_authorization_headers_are_no_credential(room: Room, era: str, place: str) -> None:
    _, key = await room.agent()
    async with wired(room.url, key, era) as wire:
        headers = [("authorization", f"Bearer {key}")] * 2
        assert (await wire.http.post(room.url + place, json={}, headers=headers)).status_code == 401


async def test_a_revoked_key_and_its_passes_are_refused_from_the_next_request_on(
    room: Room, era: str
) -> None:
    name, key = await room.agent()
    async with room.peer(key, era) as peer:
        run = await peer.open("change")
        issued = await peer.call("current_step", run_id=run, with_pass=True)
        step_pass = str(issued.body["step_pass"])
    async with wired(room.url, key, era) as wire, wired(room.url, step_pass, era) as within:
        assert (await wire.call("current_step", f'{{"run_id": "{run}"}}')).status_code == 200
        assert (await within.call("current_step", "{}")).status_code == 200
        await room.work(lambda tx: revoke_agent(tx, name, by="olga"))
        for place in PLACES:
            wire.url = within.url = room.url + place
            assert (await wire.call("current_step", f'{{"run_id": "{run}"}}')).status_code == 401
            assert (await within.call("current_step", "{}")).status_code == 401


async def test_case_64_an_expired_pass_is_401_and_one_of_an_earlier_epoch_opens_only_a_closed_step(
    room: Room, peer: Peer, era: str
) -> None:
    run = await peer.open("change")
    found = room.read(lambda reading: find_run(reading, run))
    assert found is not None
    expired = await room.work(lambda tx: issue_pass(tx, found, 0))
    good = await room.work(lambda tx: issue_pass(tx, found, 3_600_000))
    assert system_now_ms() > found.opened_ms
    async with wired(room.url, good, era) as wire:
        assert code_of(await wire.call("current_step", "{}")) == "done"
        assert (await peer.submit(run, "act", "again")).code == "done"
        # The pass is still somebody's, but its step is over.
        assert code_of(await wire.call("current_step", "{}")) == "step_closed"
        assert code_of(await wire.call("shop__change_item", '{"item_id": "x", "price": 1}')) == "step_closed"
        wire.http.headers["authorization"] = f"Bearer {expired}"
        assert (await wire.call("current_step", "{}")).status_code == 401


NOWHERE = {
    "unknown workflow": "/nothing/act",
    "unknown step": "/change/nothing",
    "a step of another workflow": "/change/read",
    "no step": "/change",
    "more than a step": "/change/act/more",
    "case matters": "/Change/act",
    "dots": "/change/..%2fact",
}


@pytest.mark.parametrize("place", NOWHERE.values(), ids=NOWHERE)
async def test_a_workflow_or_step_that_does_not_exist_is_404(room: Room, era: str, place: str) -> None:
    _, key = await room.agent()
    async with wired(room.url, key, era) as wire:
        wire.url = room.url + place
        assert (await wire.call("current_step", "{}")).status_code == 404


async def test_a_pass_is_good_at_its_own_step_and_nowhere_else(room: Room, peer: Peer, era: str) -> None:
    run = await peer.open("change")
    issued = await peer.call("current_step", run_id=run, with_pass=True)
    async with wired(room.url, str(issued.body["step_pass"]), era) as wire:
        for place, status in (("/change/act", 200), ("/change/again", 404), ("/repair/read", 404)):
            fresh = room.url + place
            async with (
                wired(fresh, str(issued.body["step_pass"]), era)
                if status == 200
                else wired(room.url, str(issued.body["step_pass"]), era) as at
            ):
                at.url = fresh
                assert (await at.call("current_step", "{}")).status_code == status
        assert (await wire.call("current_step", "{}")).status_code == 200


async def test_a_legacy_session_belongs_to_the_credential_that_opened_it(room: Room) -> None:
    _, key = await room.agent()
    _, other = await room.agent()
    async with wired(room.url, key, "legacy") as wire:
        assert (await wire.post("tools/list", b"{}")).status_code == 200
        wire.http.headers["authorization"] = f"Bearer {other}"
        assert (await wire.post("tools/list", b"{}")).status_code == 404
        wire.http.headers["authorization"] = f"Bearer {key}"
        # The same agent at a step's URL is somebody else to a session, too: its tools differ.
        wire.url = f"{room.url}/change/act"
        assert (await wire.post("tools/list", b"{}")).status_code == 404


@pytest.mark.parametrize(
    "headers", [{"host": "evil.example"}, {"origin": "http://evil.example"}], ids=["host", "origin"]
)
async def test_a_web_page_under_another_name_gets_nowhere(
    room: Room, era: str, headers: dict[str, str]
) -> None:
    _, key = await room.agent()
    async with wired(room.url, key, era) as wire:
        wire.http.headers.update(headers)
        assert (await wire.call("current_step", "{}")).status_code in (403, 421)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"])
async def test_there_is_no_anonymous_mode_whatever_the_method(room: Room, method: str) -> None:
    _, key = await room.agent()
    async with wired(room.url, key, "legacy") as wire:
        session = {"mcp-session-id": str(wire.session)}
    async with httpx2.AsyncClient(trust_env=False) as http:
        for place in (*PLACES, "/no/thing"):
            for headers in ({}, session, {"x-forwarded-user": "ada"}, {"cookie": f"authorization={key}"}):
                url = f"{room.url}{place}?access_token={key}"
                answer = await http.request(method, url, headers=headers)
                assert answer.status_code == 401, (place, headers)
