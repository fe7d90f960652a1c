"""Arguments: read strictly from the bytes that came, completed, and judged before anything else happens."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from tests.rooms.peers import Peer
from tests.rooms.stage import Room
from tests.rooms.wire import Wire, code_of, wired

CHANGE = "shop__change_item"


def arguments(run: str, *parts: str) -> str:
    """The text of an arguments object for a step's URL."""
    return "{" + ", ".join((f'"run_id": "{run}"', *parts)) + "}"


async def opened(room: Room, era: str, workflow: str, **more: Any) -> tuple[str, str]:
    """A new agent's key and a run of it."""
    _, key = await room.agent()
    async with room.peer(key, era) as peer:
        return key, await peer.open(workflow, **more)


ITEM = '"item_id": "wire"'
REJECTED = {
    "case_15_a_duplicate_key": (ITEM, '"price": 1', '"price": 1000000'),
    "case_15_a_duplicate_key_in_depth": (ITEM, '"price": 1', '"details": {"a": 1, "a": 2}'),
    "case_15_a_duplicate_key_in_disguise": (ITEM, '"price": 1', '"pric\\u0065": 2'),
    "case_17_beyond_2_53": (ITEM, '"price": 9007199254740993'),
    "case_17_far_beyond": (ITEM, '"price": 1' + "0" * 400),
    "case_17_nan": (ITEM, '"price": NaN'),
    "case_17_infinity": (ITEM, '"price": -Infinity'),
    "case_17_1e400": (ITEM, '"price": 1e400'),
    "case_17_a_lone_surrogate": (ITEM, '"price": 1', '"note": "\\ud800"'),
    "case_17_a_lone_surrogate_as_key": (ITEM, '"price": 1', '"\\udfff": 1'),
    "case_20_deep": (ITEM, '"price": 1', '"details": ' + "[" * 40 + "]" * 40),
    "case_20_very_deep": (ITEM, '"price": 1', '"details": ' + "[" * 100_000 + "]" * 100_000),
    "case_20_large": (ITEM, '"price": 1', '"note": "' + "x" * 70_000 + '"'),
    "no_json": (ITEM, '"price": 01'),
}


@pytest.mark.parametrize("parts", REJECTED.values(), ids=REJECTED)
async def test_what_two_parsers_could_read_differently_is_rejected(
    room: Room, era: str, parts: tuple[str, ...]
) -> None:
    key, run = await opened(room, era, "change")
    frames = room.stage.frames()
    async with wired(f"{room.url}/change/act", key, era) as wire:
        answer = await wire.call(CHANGE, arguments(run, *parts))
        assert code_of(answer) in ("invalid_arguments", "-32700", "-32600")
        assert "Traceback" not in answer.text
        assert await is_alive(wire, run)
    assert room.stage.frames() == frames
    assert room.entries("approval.requested", run=run) == []


@pytest.mark.parametrize("size", [2_000_000, 10_000_000])
async def test_case_20_megabytes_are_rejected_while_another_caller_is_answered(
    room: Room, era: str, size: int
) -> None:
    key, run = await opened(room, era, "change")
    other, theirs = await opened(room, era, "change")
    big = arguments(run, ITEM, '"price": 1', '"note": "' + "x" * size + '"')
    deep = arguments(run, ITEM, '"price": 1', '"details": ' + "[" * 200_000 + "]" * 200_000)
    answered: list[float] = []
    async with (
        wired(f"{room.url}/change/act", key, era) as wire,
        wired(f"{room.url}/change/act", other, era) as beside,
    ):

        async def flood() -> None:
            assert (await wire.call(CHANGE, big)).status_code == 413
            assert code_of(await wire.call(CHANGE, deep)) in ("invalid_arguments", "-32700")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(flood)
            tasks.start_soon(flood)
            for _ in range(10):
                before = anyio.current_time()
                assert await is_alive(beside, theirs)
                answered.append(anyio.current_time() - before)
    assert max(answered) < 2


SAME = {
    "case_14_order_and_white_space": '{ "price":5,\n\t"run_id": "RUN",  "item_id":"ITEM" }',
    "case_14_escapes": '{"run_id": "RUN", "\\u0069tem_id": "ITEM", "price": 5}',
    "case_16_a_float": '{"run_id": "RUN", "item_id": "ITEM", "price": 5.0}',
    "case_16_an_exponent": '{"run_id": "RUN", "item_id": "ITEM", "price": 0.5e1}',
    "case_4_the_default_spelled_out": '{"run_id": "RUN", "item_id": "ITEM", "price": 5, "note": ""}',
}


@pytest.mark.parametrize("spelling", SAME.values(), ids=SAME)
async def test_other_spellings_of_one_call_are_that_call(
    room: Room, era: str, item: str, spelling: str
) -> None:
    key, run = await opened(room, era, "change")
    async with room.peer(key, era) as peer:
        asked = await room.approved(peer, run, item_id=item, price=5)
    async with wired(f"{room.url}/change/act", key, era) as wire:
        spelled = spelling.replace("RUN", run).replace("ITEM", item)
        answer = await wire.call(CHANGE, spelled)
        assert (
            answer.json()["result"]["structuredContent"]["approval"]["request"] == asked.approval["request"]
        )
        carrying = spelled.rstrip(" }") + f', "approval_token": "{asked.token}"}}'
        assert code_of(await wire.call(CHANGE, carrying)) == "done"
    # What the upstream got is the one canonical form, whatever came in.
    assert room.stage.effects(item) == [{"item_id": item, "price": 5, "note": ""}]
    assert all(isinstance(effect["price"], int) for effect in room.stage.effects(item))


async def test_case_18_texts_are_never_normalised(room: Room, peer: Peer, item: str) -> None:
    run = await peer.open("change")
    texts = ("caf\u00e9", "cafe\u0301", "c\u0430f\u00e9", "caf\u00e9\u200b", "\u202ecaf\u00e9")
    asked = [await room.approved(peer, run, item_id=item, price=1, note=text) for text in texts]
    assert len({said.token for said in asked}) == len(texts)
    for said, text in zip(asked, texts, strict=True):
        assert (await peer.use(run, CHANGE, said.token, item_id=item, price=1, note=text)).code == "done"
    assert [effect["note"] for effect in room.stage.effects(item)] == list(texts)


@pytest.mark.parametrize("way", ["desk", "pass", "url"])
async def test_a_bound_argument_cannot_be_supplied_and_its_value_is_never_told(
    room: Room, era: str, way: str
) -> None:
    # The bound value itself does not fit the tool, and not even then is it told.
    secret = "a-very-secret-id-" + "9" * 64
    key, run = await opened(room, era, "repair", item=secret)
    frames = room.stage.frames("read_item")
    async with room.peer(key, era) as desk:
        issued = await desk.call("current_step", run_id=run, with_pass=True)
        credential, place, named = {
            "desk": (key, "", {}),
            "pass": (str(issued.body["step_pass"]), "", {}),
            "url": (key, "/repair/read", {"run_id": run}),
        }[way]
        async with room.peer(credential, era, place) as within:
            for given in ({"item_id": secret}, {"item_id": "i-2"}, {"item_id": None}, {}):
                if way == "desk":
                    said = await within.use(run, "shop__read_item", **given)
                else:
                    said = await within.call("shop__read_item", **named, **given)
                assert said.code == "invalid_arguments"
                assert "9999" not in said.text
                assert "item_id" in said.body["why"]
    assert room.stage.frames("read_item") == frames


NOT_FITTING: dict[str, dict[str, Any]] = {
    "missing": {"item_id": "x"},
    "null": {"item_id": "x", "price": None},
    "a text": {"item_id": "x", "price": "1"},
    "a list": {"item_id": ["x"], "price": 1},
    "empty": {"item_id": "", "price": 1},
    "case_3_unknown": {"item_id": "x", "price": 1, "confirm": True},
    "case_37_a_claim": {"item_id": "x", "price": 1, "approved": True, "approved_by": "rita"},
    "a reserved name": {"item_id": "x", "price": 1, "run_id": "run_" + "0" * 26},
    "null for a default": {"item_id": "x", "price": 1, "note": None},
}


@pytest.mark.parametrize("given", NOT_FITTING.values(), ids=NOT_FITTING)
async def test_what_does_not_fit_the_schema_is_refused_before_anybody_is_asked(
    room: Room, peer: Peer, given: dict[str, Any]
) -> None:
    run = await peer.open("change")
    said = await peer.use(run, CHANGE, **given)
    assert said.code == "invalid_arguments"
    assert said.body["why"]
    assert room.entries("approval.requested", run=run) == []
    assert len(room.entries("call.refused", run=run)) == 1


@pytest.mark.parametrize("raw", ["[]", '"x"', "7", "true"])
async def test_arguments_that_are_no_object_are_refused(room: Room, era: str, raw: str) -> None:
    key, run = await opened(room, era, "change")
    async with wired(f"{room.url}/change/act", key, era) as wire:
        answer = await wire.call(CHANGE, raw)
        assert code_of(answer) in ("invalid_arguments", "-32602", "-32600")
        assert await is_alive(wire, run)


async def is_alive(wire: Wire, run: str) -> bool:
    """Whether the server answers this caller."""
    answer = await wire.call("current_step", json.dumps({"run_id": run}))
    return code_of(answer) == "done"
