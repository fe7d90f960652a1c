"""What comes out of completing a call's arguments is exactly what is judged, approved and executed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import JsonObject, canonical
from policies.codes import Denial
from tool_scopes.arguments import complete_arguments, target_of
from tool_scopes.catalogue import View
from tool_scopes.schemas import compile_arguments
from tool_scopes.upstream.tools import UpstreamTool
from tool_scopes.views import ViewTool, build_view

SCHEMA: JsonObject = {
    "type": "object",
    "properties": {
        "order_id": {"type": "string", "pattern": "^o-[0-9]+$"},
        "amount": {"type": "integer", "minimum": 1},
        "note": {"type": "string", "default": "none given"},
        "limit": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
        "broken_default": {"type": "string", "default": None},
        "options": {"type": "object", "properties": {"deep": {"type": "integer", "default": 7}}},
    },
    "required": ["order_id", "amount"],
    "additionalProperties": False,
}
STATE: JsonObject = {"order": "o-17", "number": 17, "customer": "c-1"}


def tool_of(schema: JsonObject = SCHEMA, **view: Any) -> ViewTool:
    wanted: dict[str, Any] = {"effect": "write", "hidden": False, "bound": {"order_id": "order"}, **view}
    return build_view(View("desk__refund", "desk", "refund", **wanted), UpstreamTool("refund", "", schema))


BOUND = tool_of()


def completed(tool: ViewTool, arguments: JsonObject, state: JsonObject = STATE) -> JsonObject:
    result = complete_arguments(tool, arguments, state)
    assert not isinstance(result, Denial), result
    return result


def refused(tool: ViewTool, arguments: JsonObject, state: JsonObject = STATE) -> str:
    result = complete_arguments(tool, arguments, state)
    assert isinstance(result, Denial)
    assert result.code == "invalid_arguments"
    assert result.detail == {"why": result.reason}
    return result.reason


def test_bound_and_fixed_arguments_and_top_level_defaults_are_filled_in() -> None:
    tool = tool_of(fixed={"note": "from the desk"})
    assert completed(tool, {"amount": 5, "options": {}}) == {
        "order_id": "o-17",
        "amount": 5,
        "note": "from the desk",
        "limit": None,
        "options": {},
    }


def test_a_default_that_its_own_property_refuses_is_left_out() -> None:
    assert "broken_default" not in completed(BOUND, {"amount": 1})


@pytest.mark.parametrize("value", ["o-17", "o-18", None], ids=["its own value", "another value", "null"])
def test_a_bound_or_fixed_argument_cannot_be_supplied(value: str | None) -> None:
    assert refused(BOUND, {"amount": 1, "order_id": value}) == "`order_id` is set by this run; leave it out."
    fixed = tool_of(fixed={"note": "x"})
    assert refused(fixed, {"amount": 1, "note": value}) == "`note` is set by this run; leave it out."


@pytest.mark.parametrize("name", ["approval_token", "run_id"])
def test_arguments_of_the_desk_never_reach_a_tool(name: str) -> None:
    open_tool = tool_of({"type": "object", "properties": {}}, bound={})
    assert name in refused(open_tool, {name: "apr_x"})


def test_a_state_that_lacks_a_bound_key_is_a_clear_refusal() -> None:
    assert refused(BOUND, {"amount": 1}, {}) == (
        "This run's state has no `order` yet; an earlier step has to find it and carry it on."
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, '"amount" is a required property'),
        ({"amount": "5"}, "`amount`: the value is not of type"),
        ({"amount": 0}, "`amount`: the value is less than the minimum of 1"),
        ({"amount": 1.5}, "`amount`: the value is not of type"),
        ({"amount": None}, "`amount`: the value is not of type"),
        ({"amount": 1, "colour": 1}, "'colour' was unexpected"),
        ({"amount": 1, "options": {"deep": "x"}}, "`options.deep`: the value is not of type"),
        ({"amount": 2**53}, "2^53"),
        ({"amount": float("nan")}, "not finite"),
        ({"amount": 1, "note": "\ud800"}, "surrogate"),
        ({"amount": 1, "note": "x" * 70_000}, "send at most 65536"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_to_mend(arguments: JsonObject, says: str) -> None:
    assert says in refused(BOUND, arguments)


def test_case_20_arguments_nested_beyond_all_depth_are_refused() -> None:
    deep: Any = {}
    for _ in range(100_000):
        deep = {"d": deep}
    assert "32 levels" in refused(BOUND, {"amount": 1, "options": deep})
    # Taken apart in a loop: Python's own way of dropping it would recurse.
    while deep:
        deep = deep.pop("d")


SECRET_STATE: JsonObject = {"order": "TOP-SECRET"}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {
            "anyOf": [
                {"properties": {"order_id": {"const": "o-1"}}},
                {"required": ["note", "limit", "options"]},
            ]
        },
        {"not": {"required": ["order_id"]}},
    ],
    ids=["its own rule", "a rule on the whole", "a rule against it"],
)
def test_a_refusal_never_tells_a_bound_value(more: JsonObject) -> None:
    reason = refused(tool_of({**SCHEMA, **more}), {"amount": 1}, SECRET_STATE)
    assert "TOP-SECRET" not in reason
    assert "tell a human" in reason or "the value" in reason


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"amount": 1}, {"amount": 1.0}),
        ({"amount": 10, "note": "x"}, {"note": "x", "amount": 10}),
        ({"amount": 1, "note": "\u00e9"}, {"note": json.loads('"\\u00e9"'), "amount": 1}),
        ({"amount": 1}, {"amount": 1, "note": "none given"}),
    ],
    ids=["16 one and one point nothing", "14 order", "14 escapes", "a default written out"],
)
def test_equal_calls_are_the_same_bytes(first: JsonObject, second: JsonObject) -> None:
    assert canonical(completed(BOUND, first)) == canonical(completed(BOUND, second))
    assert json.dumps(completed(BOUND, second)["amount"]) in ("1", "10")


def test_case_18_texts_that_only_look_alike_stay_different() -> None:
    looks = ["é", "e\u0301", "e", "е", "e\u200b"]
    assert len({canonical(completed(BOUND, {"amount": 1, "note": text})) for text in looks}) == len(looks)


def test_case_21_null_missing_and_empty_stay_different() -> None:
    schema: JsonObject = {"type": "object", "properties": {"a": {}}}
    tool = tool_of(schema, bound={})
    given_ones: list[JsonObject] = [{}, {"a": None}, {"a": ""}, {"a": {}}, {"a": []}]
    assert len({canonical(completed(tool, arguments)) for arguments in given_ones}) == 5


def test_what_was_completed_shares_nothing_with_what_was_given() -> None:
    options: JsonObject = {"deep": 1}
    result = completed(BOUND, {"amount": 1, "options": options})
    options["deep"] = 2
    assert result["options"] == {"deep": 1}


def test_no_default_is_filled_in_below_the_top() -> None:
    assert completed(BOUND, {"amount": 1, "options": {}})["options"] == {}


@pytest.mark.parametrize(
    ("target", "arguments", "expected"),
    [
        ("order:{order_id}", {"order_id": "o-17"}, "order:o-17"),
        ("{order_id}/{amount}", {"order_id": "o-17", "amount": 3}, "o-17/3"),
        ("{order_id}", {"order_id": "{amount}", "amount": 3}, "{amount}"),
        ("{options}", {"options": {"b": 1, "a": None}}, '{"a":null,"b":1}'),
        ("all", {}, "all"),
        (None, {}, "tool:refund"),
    ],
)
def test_a_target_is_made_of_the_completed_arguments(
    target: str | None, arguments: JsonObject, expected: str
) -> None:
    assert target_of(View("v", "desk", "refund", target=target), arguments) == expected


def test_a_target_template_reaches_nothing_but_arguments() -> None:
    view = View("v", "desk", "refund", target="{order_id.__class__}")
    with pytest.raises(KeyError):
        target_of(view, {"order_id": "o-17"})


REFERENCE: Any = jsonschema.Draft202012Validator(SCHEMA)


def is_valid(instance: JsonObject) -> bool:
    """What the library says that everybody measures against."""
    return bool(REFERENCE.is_valid(instance))


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
NAMED = st.dictionaries(
    st.sampled_from(["amount", "note", "limit", "options", "order_id", "x"]), ANY_JSON, max_size=5
)


@given(NAMED)
def test_the_compiled_validator_agrees_with_the_reference(instance: dict[str, Any]) -> None:
    assert compile_arguments(SCHEMA).is_valid(instance) == is_valid(instance)


@given(NAMED)
def test_whatever_comes_out_is_valid_canonical_and_bound(arguments: dict[str, Any]) -> None:
    result = complete_arguments(BOUND, arguments, STATE)
    if isinstance(result, Denial):
        return
    assert result["order_id"] == "o-17"
    assert is_valid(result)
    assert json.loads(canonical(result)) == result
    assert (
        complete_arguments(replace(BOUND), {k: v for k, v in result.items() if k != "order_id"}, STATE)
        == result
    )
