"""Where a client can open a page, a write that needs an approval asks for it; its word counts for nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Literal, cast

import pytest
from mcp import Client
from mcp.client.context import ClientRequestContext
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import (
    ElicitRequestParams,
    ElicitRequestURLParams,
    ElicitResult,
    InputRequiredResult,
    InputResponses,
)

from tests.rooms.peers import Peer, plain_http
from tests.rooms.stage import Room
from tests.rooms.wire import wired

CHANGE = "shop__change_item"
Action = Literal["accept", "decline", "cancel"]


@asynccontextmanager
async def with_pages(
    room: Room, credential: str, seen: list[Any], action: Action, judge: bool
) -> AsyncGenerator[Peer]:
    """A modern client that opens pages; its person approves at the page when `judge` says so."""

    async def opened(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        assert isinstance(params, ElicitRequestURLParams)
        seen.append(params)
        if judge:
            await room.judge("rita", params.url.rpartition("/")[2])
        return ElicitResult(action=action)

    async with (
        plain_http(credential) as http,
        Client(
            streamable_http_client(room.url, http_client=http), cache=None, elicitation_callback=opened
        ) as client,
    ):
        yield Peer(client)


async def test_a_person_approves_at_the_page_and_the_same_call_goes_on(room: Room, item: str) -> None:
    _, key = await room.agent()
    seen: list[Any] = []
    async with with_pages(room, key, seen, "accept", judge=True) as peer:
        run = await peer.open("change")
        done = await peer.use(run, CHANGE, item_id=item, price=5)
        assert done.code == "done", done
        (page,) = seen
        assert isinstance(page, ElicitRequestURLParams)
        (request,) = (await peer.call("see_approval", run_id=run)).body["approvals"]
        assert page.url == f"{room.url.removesuffix('/mcp')}/approvals/{request['request']}"
        assert request["state"] == "succeeded"
    assert len(room.stage.effects(item)) == 1


@pytest.mark.parametrize(
    ("action", "code"),
    [("accept", "approval_pending"), ("decline", "approval_required"), ("cancel", "approval_required")],
)
async def test_case_37_an_accept_that_no_human_signed_is_worth_nothing(
    room: Room, item: str, action: Action, code: str
) -> None:
    _, key = await room.agent()
    seen: list[Any] = []
    async with with_pages(room, key, seen, action, judge=False) as peer:
        run = await peer.open("change")
        said = await peer.use(run, CHANGE, item_id=item, price=5)
        assert (said.code, len(seen)) == (code, 1)
        # Whatever the person did, the agent has the token now, and can go the other way.
        token = said.body["approval_token"] if code == "approval_pending" else said.token
        await room.judge("rita", seen[0].url.rpartition("/")[2])
        assert (await peer.use(run, CHANGE, token, item_id=item, price=5)).code == "done"
    assert len(room.stage.effects(item)) == 1


async def test_a_state_is_good_for_its_own_call_and_caller_alone(room: Room, item: str) -> None:
    _, key = await room.agent()
    _, other_key = await room.agent()
    async with with_pages(room, key, [], "accept", judge=False) as peer:
        run = await peer.open("change")
        call = {"run_id": run, "tool": CHANGE, "arguments": {"item_id": item, "price": 5}}
        asked = await peer.client.session.call_tool("use_tool", call, allow_input_required=True)
        assert isinstance(asked, InputRequiredResult)
        assert (asked.meta or {})["dev.bailiwick/refusal"]["code"] == "approval_required"
        (request,) = (await peer.call("see_approval", run_id=run)).body["approvals"]
        await room.judge("rita", request["request"])
        state = str(asked.request_state)

        async def again(who: Peer, arguments: dict[str, Any], state: str = state) -> str:
            accepted: InputResponses = {"approval": ElicitResult(action="accept")}
            said = await who.client.session.call_tool(
                "use_tool", arguments, input_responses=accepted, request_state=state
            )
            return str(cast("dict[str, Any]", said.structured_content)["code"])

        other = {**call, "arguments": {"item_id": item, "price": 6}}
        for changed, carried in ((other, state), (call, state[:-4] + "AAAA")):
            with pytest.raises(MCPError, match="Invalid or expired requestState"):
                await again(peer, changed, carried)
        async with with_pages(room, other_key, [], "accept", judge=False) as stranger:
            with pytest.raises(MCPError, match="Invalid or expired requestState"):
                await again(stranger, call)
        assert room.stage.effects(item) == []
        assert await again(peer, call) == "done"
        # The sealed state can be sent again; the approval behind it cannot be spent again.
        assert await again(peer, call) == "approval_spent"
    assert len(room.stage.effects(item)) == 1


@pytest.mark.parametrize("elicitation", [None, {}, {"form": {}}])
async def test_a_client_that_opens_no_pages_is_refused_in_words(
    room: Room, item: str, elicitation: dict[str, Any] | None
) -> None:
    _, key = await room.agent()
    async with room.peer(key) as peer:
        run = await peer.open("change")
    declared = {} if elicitation is None else {"elicitation": elicitation}
    call = f'{{"run_id": "{run}", "tool": "{CHANGE}", "arguments": {{"item_id": "{item}", "price": 5}}}}'
    async with wired(room.url, key, "auto") as wire:
        meta = {"io.modelcontextprotocol/clientCapabilities": declared}
        answer = (await wire.call("use_tool", call, meta=meta)).json()["result"]
    assert answer["structuredContent"]["code"] == "approval_required"
    assert answer["isError"] is True
