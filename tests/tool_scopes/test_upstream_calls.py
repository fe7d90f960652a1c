"""A call is one frame with exactly the arguments that were judged, and its answer comes back as it was."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest

from ledger.canonical import JsonObject, canonical
from tests.tool_scopes.raw_upstream import LEGACY, MODERN
from tests.tool_scopes.upstreams import QUICK, raw_server, running, seen, until
from tool_scopes.upstream.frames import Departure, SecondFrame
from tool_scopes.upstream.tools import UpstreamFailure

pytestmark = pytest.mark.anyio
ERAS = pytest.mark.parametrize("era", [LEGACY, MODERN])

AWKWARD: JsonObject = {
    "null": None,
    "inside": {"null": None, "list": [None, {"deeper": None}]},
    "empty": {"object": {}, "list": [], "text": ""},
    "numbers": [0, 1, -7, 0.5, 1e-7, 9007199254740991],
    "texts": ["é", "e\u0301", "\u202e", "\u2028", "</script>", "\\ud800", "𝄞"],
    "_meta": {"mine": 1},
    "arguments": {"name": "x"},
}


@ERAS
async def test_a_call_is_one_frame_with_exactly_the_arguments_that_were_given(
    era: str, tmp_path: Path
) -> None:
    async with running(raw_server(tmp_path, era=era)) as upstream:
        await upstream.call("echo", AWKWARD, 5)
    (frame,) = seen(tmp_path, "tools/call")
    assert canonical(frame["params"]["arguments"]) == canonical(AWKWARD)
    assert frame["params"]["name"] == "echo"


@ERAS
async def test_null_and_missing_and_empty_stay_three_different_things(era: str, tmp_path: Path) -> None:
    given: list[JsonObject] = [{"a": None}, {}, {"a": ""}, {"a": {}}]
    async with running(raw_server(tmp_path, era=era)) as upstream:
        for arguments in given:
            await upstream.call("echo", arguments, 5)
    assert [frame["params"]["arguments"] for frame in seen(tmp_path, "tools/call")] == given


@ERAS
async def test_many_calls_share_one_session_and_none_gets_anothers_answer(era: str, tmp_path: Path) -> None:
    answers: dict[int, str] = {}

    async with running(raw_server(tmp_path, era=era)) as upstream:

        async def ask(number: int) -> None:
            answers[number] = (await upstream.call("echo", {"number": number}, 10)).text

        async with anyio.create_task_group() as tasks:
            for number in range(64):
                tasks.start_soon(ask, number)
    assert answers == {number: json.dumps({"number": number}) for number in range(64)}


async def test_a_later_call_can_be_answered_before_an_earlier_one(tmp_path: Path) -> None:
    answered: list[str] = []

    async with running(raw_server(tmp_path)) as upstream:

        async def ask(number: int) -> None:
            answered.append((await upstream.call("pair", {"number": number}, 10)).text)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, 1)
            await until(lambda: len(seen(tmp_path, "tools/call")) == 1)
            tasks.start_soon(ask, 2)
    assert answered == ["2", "1"]


@ERAS
async def test_an_error_of_the_tool_is_a_result_that_says_so(era: str, tmp_path: Path) -> None:
    async with running(raw_server(tmp_path, era=era)) as upstream:
        result = await upstream.call("fail", {"why": "no effect: too much"}, 5)
    assert result.is_error
    assert result.text == "no effect: too much"


async def test_a_protocol_error_that_the_upstream_itself_answers_is_a_result_with_its_words(
    tmp_path: Path,
) -> None:
    async with running(raw_server(tmp_path)) as upstream:
        result = await upstream.call("error", {}, 5)
    assert (result.is_error, result.text, result.structured) == (True, "no such order", None)


@pytest.mark.parametrize(
    ("era", "tool", "says"),
    [
        (MODERN, "ask_back", "input_required"),
        (LEGACY, "ask_back", "no tool result"),
        (MODERN, "no_content", "no tool result"),
        (LEGACY, "no_content", "no tool result"),
        (MODERN, "not_a_number", "not JSON"),
    ],
    ids=["81-input-required", "81-input-required-in-the-legacy-era", "malformed", "malformed-legacy", "nan"],
)
async def test_an_answer_that_is_no_result_fails_after_one_frame(
    era: str, tool: str, says: str, tmp_path: Path
) -> None:
    async with running(raw_server(tmp_path, era=era)) as upstream:
        with pytest.raises(UpstreamFailure, match=says) as failure:
            await upstream.call(tool, {}, 5)
        assert failure.value.sent
        assert (await upstream.call("echo", {}, 5)).text == "{}"
    assert len(seen(tmp_path, "tools/call")) == 2
    assert len(seen(tmp_path, "tools/list")) == 1


async def test_an_answer_that_breaks_the_tools_own_output_schema_is_no_answer(tmp_path: Path) -> None:
    async with running(raw_server(tmp_path)) as upstream:
        assert (await upstream.call("typed", {"total": 3}, 5)).structured == {"total": 3}
        with pytest.raises(UpstreamFailure, match="output schema") as failure:
            await upstream.call("typed", {"sum": 3}, 5)
    assert failure.value.sent


async def test_a_result_above_the_limit_costs_its_caller_and_nobody_else(tmp_path: Path) -> None:
    async with running(raw_server(tmp_path)) as upstream:
        with pytest.raises(UpstreamFailure, match="the limit is 1048576") as failure:
            await upstream.call("huge", {"size": QUICK.result_bytes}, 10)
        assert failure.value.sent
        assert len((await upstream.call("huge", {"size": 1_000_000}, 10)).text) == 1_000_000
    assert len(seen(tmp_path, "tools/call")) == 2


async def test_case_81_what_an_upstream_asks_back_is_declined_and_never_answered(tmp_path: Path) -> None:
    async with running(raw_server(tmp_path, era=LEGACY)) as upstream:
        assert (await upstream.call("elicit", {}, 5)).text == "asked"
    (handshake,) = seen(tmp_path, "initialize")
    assert handshake["params"]["capabilities"] == {}
    assert [
        message for message in seen(tmp_path) if message.get("id") == "ask-1" and "result" in message
    ] == []


async def test_case_99_an_upstream_cannot_speak_in_our_name(tmp_path: Path) -> None:
    async with running(raw_server(tmp_path)) as upstream:
        result = await upstream.call("our_meta", {}, 5)
    assert result.as_json() == {
        "isError": False,
        "content": [{"type": "text", "text": "hi", "_meta": {"example.com/own": 1}}],
    }


async def test_data_without_a_text_reads_as_json(tmp_path: Path) -> None:
    async with running(raw_server(tmp_path)) as upstream:
        result = await upstream.call("data_only", {}, 5)
    assert result.text == '{"total": 3}'
    assert result.as_json()["structuredContent"] == {"total": 3}


async def test_a_tool_that_was_not_listed_is_never_called(tmp_path: Path) -> None:
    async with running(raw_server(tmp_path)) as upstream:
        with pytest.raises(UpstreamFailure, match="offers no tool") as failure:
            await upstream.call("main", {}, 5)
    assert not failure.value.sent
    assert seen(tmp_path, "tools/call") == []


async def test_a_caller_that_gives_up_sends_no_cancellation(tmp_path: Path) -> None:
    async with running(raw_server(tmp_path, era=LEGACY)) as upstream:

        async def ask() -> None:
            await upstream.call("hang", {}, 60)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await until(lambda: len(seen(tmp_path, "tools/call")) == 1)
            tasks.cancel_scope.cancel()
        await upstream.call("echo", {}, 5)
    assert len(seen(tmp_path, "tools/call")) == 2
    assert seen(tmp_path, "notifications/cancelled") == []


def test_the_second_frame_of_a_call_is_held_back() -> None:
    frame = Departure()
    frame.leave()
    with pytest.raises(SecondFrame):
        frame.leave()
