"""Subscriptions in both eras: what changed is told to whoever may read it, and to nobody else."""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import (
    PromptListChangedNotification,
    ResourceListChangedNotification,
    ResourceUpdatedNotification,
    ToolListChangedNotification,
)

from policies.agents import revoke_agent
from server import listening
from tests.rooms.peers import Peer, plain_http
from tests.rooms.stage import Room, until

LISTS = ["PromptsListChanged", "ResourcesListChanged", "ToolsListChanged"]
CHANGE = "shop__change_item"


class Heard(list[str]):
    """What a listener was told: names of events, or the URI that was updated."""

    uris: Sequence[str] = ()
    over = False


@asynccontextmanager
async def listening_to(
    room: Room, credential: str, era: str, uris: Sequence[str] = ()
) -> AsyncGenerator[Heard]:
    """A connection that asks to be told of everything, in the way of its era."""
    way = _by_listen if era == "auto" else _by_subscribe
    async with way(room, credential, uris) as heard:
        yield heard


@asynccontextmanager
async def _by_listen(room: Room, credential: str, uris: Sequence[str]) -> AsyncGenerator[Heard]:
    heard = Heard()
    async with (
        room.peer(credential) as peer,
        peer.client.listen(
            tools_list_changed=True,
            prompts_list_changed=True,
            resources_list_changed=True,
            resource_subscriptions=uris,
        ) as stream,
        anyio.create_task_group() as tasks,
    ):
        heard.uris = tuple(stream.honored.resource_subscriptions or ())

        async def follow() -> None:
            async for event in stream:
                heard.append(getattr(event, "uri", type(event).__name__))
            heard.over = True

        tasks.start_soon(follow)
        yield heard
        tasks.cancel_scope.cancel()


NAMES = {
    ToolListChangedNotification: "ToolsListChanged",
    PromptListChangedNotification: "PromptsListChanged",
    ResourceListChangedNotification: "ResourcesListChanged",
}


@asynccontextmanager
async def _by_subscribe(room: Room, credential: str, uris: Sequence[str]) -> AsyncGenerator[Heard]:
    heard = Heard()

    async def told(message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            heard.append(str(message.params.uri))
        elif type(message) in NAMES:
            heard.append(NAMES[type(message)])

    async with plain_http(credential) as http:
        transport = streamable_http_client(room.url, http_client=http)
        async with Client(transport, mode="legacy", cache=None, message_handler=told) as client:
            accepted: list[str] = []
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the newer era has no such request
                for uri in uris:
                    with suppress(MCPError):
                        await client.subscribe_resource(uri)  # pyright: ignore[reportDeprecated]
                        accepted.append(uri)
            heard.uris = tuple(accepted)
            yield heard


async def test_a_pass_hears_that_its_lists_change_when_its_step_ends(
    room: Room, peer: Peer, era: str
) -> None:
    run, other = await peer.open("repair"), await peer.open("repair")
    issued = await peer.call("current_step", run_id=run, with_pass=True)
    async with listening_to(room, str(issued.body["step_pass"]), era) as heard:
        await peer.call("read_context", run_id=other)
        await peer.submit(other, "read")
        await peer.call("read_context", run_id=run)
        await until(lambda: heard == ["ResourcesListChanged"])
        await peer.submit(run, "read")
        await until(lambda: sorted(heard[1:]) == LISTS)


async def test_case_69_a_run_and_an_approval_are_told_of_to_their_own_agent_alone(
    room: Room, peer: Peer, era: str, item: str
) -> None:
    _, key = await room.agent()
    async with room.peer(key, era) as own:
        run, other = await own.open("change"), await peer.open("change")
        asked = await own.use(run, CHANGE, item_id=item, price=5)
        theirs = await peer.use(other, CHANGE, item_id=f"{item}-2", price=5)
        mine = [f"run://{run}", f"approval://{asked.approval['request']}?run_id={run}"]
        not_mine = [
            f"run://{other}",
            f"approval://{theirs.approval['request']}?run_id={other}",
            f"approval://{theirs.approval['request']}?run_id={run}",
            f"evidence://prices@1:0-9?run_id={run}",
            "run://run_none",
            "file:///etc/passwd",
        ]
        async with listening_to(room, key, era, [*not_mine, *mine]) as heard:
            assert sorted(heard.uris) == sorted(mine)
            await room.judge("rita", theirs.approval["request"])
            await peer.submit(other, "act", "again")
            await room.judge("rita", asked.approval["request"])
            await until(lambda: heard == [mine[1]])
            await own.submit(run, "act", "again")
            await until(lambda: heard == [mine[1], mine[0]])


async def test_a_stream_ends_when_its_agent_is_revoked_and_one_agent_has_only_so_many(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, key = await room.agent()
    async with room.peer(key) as peer:
        run = await peer.open("change")
    monkeypatch.setattr(listening, "MOST_OF_AGENT", 1)
    async with listening_to(room, key, "auto", [f"run://{run}"]) as heard:
        async with room.peer(key) as peer:
            with pytest.raises(MCPError, match="Too many open subscriptions"):
                async with peer.client.listen(tools_list_changed=True):
                    pass
        await room.work(lambda tx: revoke_agent(tx, agent, by="olga"))
        await until(lambda: heard.over)
        assert heard == []
