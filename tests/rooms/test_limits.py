"""Limits of agents, tenants and tools: fair, without lock-outs, and said with when to come again."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise

import anyio
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.principals import Agent
from server import traffic
from server.traffic import Refusal, Traffic, TrafficLimits
from tests.rooms.peers import Said
from tests.rooms.stage import Room, Stage, served, until
from tests.rooms.wire import wired
from tool_scopes.catalogue import View
from tool_scopes.pacing import Pacer, Rate, TooSoon, Turn
from tool_scopes.tool_limits import ToolLimits

BOT, OTHER = Agent("bot", "acme", "olga"), Agent("other", "acme", "olga")
STRANGER = Agent("stranger", "elsewhere", "orla")


class Seconds:
    """A clock that stands still, and whoever sleeps by it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    seconds = Seconds()
    monkeypatch.setattr(traffic.anyio, "sleep", seconds.sleep)
    return seconds


@asynccontextmanager
async def inside(busy: Traffic, agent: Agent, count: int) -> AsyncGenerator[None]:
    """So many requests of an agent, under way for the length of the block."""
    async with AsyncExitStack() as under_way:
        for _ in range(count):
            await under_way.enter_async_context(busy.turn(agent))
        yield


async def crowd(busy: Traffic, under_way: AsyncExitStack, agents: list[Agent]) -> None:
    for agent in agents:
        await under_way.enter_async_context(busy.turn(agent))


async def refusal(busy: Traffic, agent: Agent) -> Refusal:
    with pytest.raises(Refusal) as caught:
        async with busy.turn(agent):
            pass
    return caught.value


async def test_an_agent_that_works_alone_is_not_held_to_its_share(seconds: Seconds) -> None:
    busy = Traffic(TrafficLimits(agent_share=1), seconds)
    async with inside(busy, BOT, 100):
        assert seconds.slept == []


async def test_a_flood_waits_its_turn_while_others_are_at_work_and_they_do_not(seconds: Seconds) -> None:
    busy = Traffic(TrafficLimits(agent_share=100), seconds)
    async with inside(busy, OTHER, 1), inside(busy, BOT, 100):
        assert len(seconds.slept) in range(70, 80)
        assert max(seconds.slept) == pytest.approx(0.74, abs=0.03)
        seconds.slept.clear()
        async with inside(busy, STRANGER, 1):
            assert seconds.slept == []


async def test_whoever_awaits_each_answer_is_never_held_back(seconds: Seconds) -> None:
    busy = Traffic(TrafficLimits(agent_share=1), seconds)
    for _ in range(300):
        for agent in (BOT, OTHER):
            async with busy.turn(agent):
                seconds.now += 0.002
    assert seconds.slept == []


async def test_what_would_wait_too_long_is_refused_with_the_time_to_come_again(seconds: Seconds) -> None:
    busy = Traffic(TrafficLimits(agent_share=10), seconds)
    async with inside(busy, OTHER, 1), AsyncExitStack() as under_way:
        with pytest.raises(Refusal) as caught:
            await crowd(busy, under_way, [BOT] * 100)
        assert (caught.value.limit, caught.value.retry_after_s) == ("agent_share", 1)
        # To be refused again and again costs nothing: after that second there is a turn.
        for _ in range(50):
            await refusal(busy, BOT)
        seconds.now += 1
        async with busy.turn(BOT):
            pass


async def test_one_too_many_at_once_is_refused_and_the_next_one_after_that_is_not(seconds: Seconds) -> None:
    busy = Traffic(TrafficLimits(agent_at_once=3, tenant_at_once=4), seconds)
    async with inside(busy, BOT, 3):
        assert (await refusal(busy, BOT)).limit == "agent_at_once"
        async with inside(busy, OTHER, 1):
            assert (await refusal(busy, OTHER)).limit == "tenant_at_once"
            async with busy.turn(STRANGER):
                pass
    async with busy.turn(BOT):
        pass


async def test_a_tenant_has_a_rate_of_its_own(seconds: Seconds) -> None:
    busy = Traffic(TrafficLimits(tenant_rate=10), seconds)
    async with AsyncExitStack() as under_way:
        with pytest.raises(Refusal) as caught:
            await crowd(busy, under_way, [Agent(f"bot-{number}", "acme", "olga") for number in range(100)])
        assert caught.value.limit == "tenant_rate"
        async with busy.turn(STRANGER):
            pass


async def test_a_request_that_fails_gives_its_place_back(seconds: Seconds) -> None:
    busy = Traffic(TrafficLimits(agent_at_once=1), seconds)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            async with busy.turn(BOT):
                raise ZeroDivisionError


@given(
    rate=st.floats(min_value=0.1, max_value=1_000),
    gaps=st.lists(st.floats(min_value=0, max_value=2), min_size=1, max_size=60),
)
def test_however_requests_come_no_more_go_than_the_rate_and_its_burst_allow(
    rate: float, gaps: list[float]
) -> None:
    pacer, now, went = Pacer(), 0.0, list[float]()
    for gap in gaps:
        now += gap
        turn = pacer.take("one", Rate(rate), now, 0.5)
        if isinstance(turn, Turn):
            assert turn.wait_s <= 0.5
            went.append(now + turn.wait_s)
        else:
            assert turn.retry_after_s > 0
    for first, start in enumerate(went):
        for last in range(first, len(went)):
            allowed = max(1.0, rate) + rate * (went[last] - start) + 1
            assert last - first + 1 <= allowed + 1e-6
    assert all(one <= other + 1e-9 for one, other in pairwise(went))


def test_a_tool_has_its_rate_and_its_number_at_once() -> None:
    seconds = Seconds()
    limits = ToolLimits(seconds)
    often = View("often", "shop", "x", per_second=2.0)
    assert [limits.begin(often) for _ in range(2)] == [None, None]
    over = limits.begin(often)
    assert over is not None
    assert (over.code, over.detail) == ("rate_limited", {"retry_after_s": 1})
    seconds.now += 0.5
    assert limits.begin(often) is None
    one = View("one", "shop", "y", at_once=1)
    assert limits.begin(one) is None
    assert limits.begin(one) is not None
    limits.end(one)
    assert limits.begin(one) is None
    assert isinstance(Pacer().take("x", Rate(1.0), 0.0), Turn)
    assert not isinstance(Pacer().take("x", Rate(1.0), 0.0), TooSoon)


@pytest.fixture
async def narrow(stage: Stage) -> AsyncGenerator[Room]:
    """A server that lets one request of an agent in at once, and whose upstream takes one write."""
    path = stage.folder.catalogue_dir / "shop.yaml"
    text = path.read_text()
    assert '"target": "item:{item_id}"' in text
    path.write_text(text.replace('"target": "item:{item_id}"', '"target": "item:{item_id}", "at_once": 1', 1))
    async with served(stage, agent_at_once=2) as room:
        yield room


async def test_too_many_at_once_are_429_with_retry_after_and_others_are_served(
    narrow: Room, era: str
) -> None:
    _, key = await narrow.agent()
    _, other = await narrow.agent()
    said: list[Said] = []
    async with narrow.peer(key, era) as peer, wired(narrow.url, key, era) as wire:
        runs = [await peer.open("change", item=f"i-{number}") for number in range(2)]
        asked = [
            await narrow.approved(peer, run, item_id=f"i-{number}", price=5)
            for number, run in enumerate(runs)
        ]
        narrow.stage.tell_upstream("wait")

        async def write() -> None:
            said.append(await peer.use(runs[0], "shop__change_item", asked[0].token, item_id="i-0", price=5))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            await until(lambda: narrow.stage.frames() == 1)
            # The tool lets one call in at once: the second is told so, and its approval is not spent.
            busy = await peer.use(runs[1], "shop__change_item", asked[1].token, item_id="i-1", price=5)
            assert (busy.code, busy.body["retry_after_s"]) == ("rate_limited", 1)
            both = list[httpx2.Response]()

            async def ask() -> None:
                both.append(await wire.call("current_step", f'{{"run_id": "{runs[1]}"}}'))

            with anyio.move_on_after(10):
                while not any(one.status_code == 429 for one in both):
                    async with anyio.create_task_group() as asking:
                        for _ in range(4):
                            asking.start_soon(ask)
            limited = next(one for one in both if one.status_code == 429)
            assert limited.headers["retry-after"] == "1"
            assert limited.json()["error"] == "rate_limited"
            async with narrow.peer(other, era) as else_where:
                assert "open_run" in await else_where.names()
            narrow.stage.let_go()
        assert [one.code for one in said] == ["done"]
        narrow.stage.tell_upstream("")
        again = await peer.use(runs[1], "shop__change_item", asked[1].token, item_id="i-1", price=5)
        assert again.code == "done"
