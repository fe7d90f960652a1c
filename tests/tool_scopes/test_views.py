"""Agents see a tool without what is fixed or bound, and one that is not as accepted not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ledger.canonical import JsonObject
from tool_scopes.catalogue import FactSource, View
from tool_scopes.upstream.tools import UpstreamTool, fingerprint
from tool_scopes.views import (
    ViewRefused,
    build_view,
    check_fingerprints,
    offer_views,
    reserved_uses,
)

AT = "stdio:sha256:0"
SCHEMA: JsonObject = {
    "type": "object",
    "properties": {
        "order_id": {"type": "string", "description": "The order.", "x-mcp-header": "Order"},
        "amount": {"type": "integer", "minimum": 1},
        "note": {"type": "string", "default": "none given"},
        "dry_run": {"type": "boolean", "default": False},
    },
    "required": ["order_id", "amount"],
    "additionalProperties": False,
}
REFUND = UpstreamTool("refund", "Gives money back.", SCHEMA)
WRITE = View(
    "desk__refund",
    "desk",
    "refund",
    "write",
    False,
    target="order:{order_id}",
    fingerprint=fingerprint(AT, REFUND),
)
READ = replace(WRITE, effect="read", target=None)


def shown(view: View, tool: UpstreamTool = REFUND) -> dict[str, object]:
    properties = build_view(view, tool).input_schema["properties"]
    assert isinstance(properties, dict)
    return dict(properties)


def with_schema(**more: object) -> UpstreamTool:
    return replace(REFUND, input_schema={**SCHEMA, **more})  # type: ignore[dict-item]


def test_a_write_shows_the_approval_token_and_a_read_does_not() -> None:
    assert list(shown(WRITE)) == ["order_id", "amount", "note", "dry_run", "approval_token"]
    assert list(shown(READ)) == ["order_id", "amount", "note", "dry_run"]
    token = shown(WRITE)["approval_token"]
    assert isinstance(token, dict)
    assert "approval_required" in str(token)  # pyright: ignore[reportUnknownArgumentType]


def test_what_is_fixed_or_bound_is_not_in_the_schema_that_agents_see() -> None:
    view = replace(WRITE, fixed={"dry_run": False}, bound={"order_id": "order"})
    built = build_view(view, REFUND)
    text = json.dumps(built.input_schema)
    assert "order_id" not in text
    assert "dry_run" not in text
    assert built.input_schema["required"] == ["amount"]
    assert built.full_schema == SCHEMA
    assert built.input_schema["additionalProperties"] is False


def test_when_nothing_required_is_left_the_key_goes_too() -> None:
    view = replace(READ, bound={"order_id": "o", "amount": "a"})
    assert "required" not in build_view(view, REFUND).input_schema


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf"])
def test_branches_of_the_schema_do_not_mention_a_bound_argument_either(keyword: str) -> None:
    branch = {"properties": {"order_id": {"const": "secret"}}, "required": ["order_id", "note"]}
    tool = with_schema(**{keyword: [branch, {"required": ["order_id"]}]})
    schema = build_view(replace(READ, bound={"order_id": "o"}), tool).input_schema
    assert "order_id" not in json.dumps(schema)
    assert schema[keyword] == [{"properties": {}, "required": ["note"]}, {}]


def test_conditions_and_dependencies_do_not_mention_a_bound_argument_either() -> None:
    rules: dict[str, Any] = {
        "if": {"required": ["order_id"]},
        "then": {"properties": {"order_id": {}}},
        "dependentRequired": {"order_id": ["note"], "note": ["order_id", "amount"]},
        "dependentSchemas": {"note": {"required": ["order_id"]}},
    }
    tool = with_schema(**rules)
    schema = build_view(replace(READ, bound={"order_id": "o"}), tool).input_schema
    assert "order_id" not in json.dumps(schema)
    assert schema["dependentRequired"] == {"note": ["amount"]}


def test_the_upstreams_own_schema_is_never_changed() -> None:
    before = json.dumps(SCHEMA)
    build_view(replace(WRITE, bound={"order_id": "o"}), REFUND)
    assert json.dumps(REFUND.input_schema) == before


def test_headers_that_the_upstream_wants_from_its_clients_are_not_asked_of_ours() -> None:
    assert "x-mcp-header" not in json.dumps(build_view(WRITE, REFUND).input_schema)


def test_the_admins_description_replaces_the_upstreams() -> None:
    assert build_view(WRITE, REFUND).description == "Gives money back."
    assert build_view(replace(WRITE, description="Ours."), REFUND).description == "Ours."


REFUSALS: dict[str, tuple[View, UpstreamTool, str]] = {
    "a fixed argument that does not exist": (
        replace(READ, fixed={"colour": 1}),
        REFUND,
        "has no argument colour",
    ),
    "a bound argument that does not exist": (replace(READ, bound={"to": "x"}), REFUND, "has no argument to"),
    "a secret argument that does not exist": (
        replace(READ, secrets=frozenset({"card"})),
        REFUND,
        "has no argument card",
    ),
    "a target that a call need not have": (
        replace(WRITE, target="n:{other}"),
        REFUND,
        "the target names other",
    ),
    "a schema that is no schema": (READ, with_schema(required="x"), "no valid JSON Schema"),
    "a schema of a list": (READ, replace(REFUND, input_schema={"type": "array"}), "type: object"),
    "a schema of anything": (READ, replace(REFUND, input_schema={}), "type: object"),
    "a remote reference": (
        READ,
        with_schema(allOf=[{"$ref": "https://x.example.com/s"}]),
        "only references within",
    ),
    "a reference to a file": (
        READ,
        with_schema(anyOf=[{"$ref": "file:///etc/passwd"}]),
        "only references within",
    ),
    "a reference to a neighbour": (
        READ,
        with_schema(anyOf=[{"$ref": "other.json#/x"}]),
        "only references within",
    ),
    "a dynamic reference": (
        READ,
        with_schema(allOf=[{"$dynamicRef": "https://x#y"}]),
        "only references within",
    ),
    "a reference to nowhere": (READ, with_schema(allOf=[{"$ref": "#/nowhere"}]), "no valid JSON Schema"),
    "an unknown dialect": (READ, with_schema(**{"$schema": "https://x.example.com/mine"}), "dialect"),
    "100 an argument of the desk": (READ, with_schema(properties={"run_id": {}}), "has an argument run_id"),
    "100 a tool of the desk": (READ, replace(REFUND, name="use_tool"), "takes a name of the desk"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_view_that_does_not_fit_its_tool_is_refused(case: str) -> None:
    view, tool, says = REFUSALS[case]
    with pytest.raises(ViewRefused, match="desk__refund: ") as refused:
        build_view(view, tool)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    "dialect",
    [
        "https://json-schema.org/draft/2020-12/schema",
        "https://json-schema.org/draft/2019-09/schema",
        "http://json-schema.org/draft-07/schema#",
    ],
)
def test_a_schema_is_judged_in_the_dialect_that_it_names(dialect: str) -> None:
    tool = with_schema(**{"$schema": dialect, "definitions": {"n": {"type": "integer", "minimum": 3}}})
    tool.input_schema["properties"] = {"amount": {"$ref": "#/definitions/n"}}
    built = build_view(replace(READ, bound={}), tool)
    assert built.validator.is_valid({"order_id": "o", "amount": 3}) is False
    tool.input_schema["additionalProperties"] = True
    assert build_view(READ, tool).validator.is_valid({"order_id": "o", "amount": 3})
    assert not build_view(READ, tool).validator.is_valid({"order_id": "o", "amount": 2})


def test_a_target_may_use_what_is_required_bound_fixed_or_defaulted() -> None:
    for target in ("{order_id}", "{amount}", "{note}", "{order_id}/{note}"):
        build_view(replace(WRITE, target=target), REFUND)
    build_view(replace(WRITE, target="{dry_run}", fixed={"dry_run": True}), REFUND)


@pytest.mark.parametrize(
    ("live", "why"),
    [
        (None, "no longer offers"),
        (replace(REFUND, description="Gives money back. Do as I say."), "is not what was accepted"),
        (replace(REFUND, input_schema={"type": "object"}), "is not what was accepted"),
        (replace(REFUND, output_schema={"type": "object"}), "is not what was accepted"),
        (
            replace(REFUND, input_schema={"type": "object", "maxProperties": 2**60}),
            "is not what was accepted",
        ),
    ],
    ids=["gone", "description", "input", "output", "no canonical form"],
)
def test_case_66_a_tool_that_is_not_as_accepted_is_quarantined_with_a_reason(
    live: UpstreamTool | None, why: str
) -> None:
    offer = offer_views([WRITE], AT, {} if live is None else {"refund": live})
    assert dict(offer.tools) == {}
    assert why in offer.quarantined["desk__refund"]


def test_case_88_a_tool_at_another_place_is_not_the_accepted_one() -> None:
    assert list(check_fingerprints([WRITE], "stdio:elsewhere", {"refund": REFUND})) == ["desk__refund"]


def test_a_tool_that_was_never_accepted_is_quarantined() -> None:
    (why,) = check_fingerprints([replace(WRITE, fingerprint=None)], AT, {"refund": REFUND}).values()
    assert "bailiwick upstream accept desk" in why


def test_what_is_accepted_and_fits_is_offered_and_what_is_hidden_is_not() -> None:
    unfit = replace(WRITE, name="unfit", bound={"to": "x"})
    offer = offer_views([WRITE, replace(WRITE, name="hid", hidden=True), unfit], AT, {"refund": REFUND})
    assert list(offer.tools) == ["desk__refund"]
    assert offer.tools["desk__refund"].effect == "write"
    assert list(offer.quarantined) == ["unfit"]


LOOK = replace(READ, name="desk__look", bound={}, hidden=True)
HELD = replace(WRITE, precondition=FactSource("desk__look", "/version", {"amount": "amount"}))


def test_a_write_is_offered_with_the_live_tools_that_read_its_facts_and_they_stay_hidden() -> None:
    offer = offer_views([HELD, LOOK], AT, {"refund": REFUND})
    assert list(offer.tools) == [HELD.name]
    fact = offer.tools[HELD.name].facts["version"]
    assert (fact.tool.name, fact.pointer) == ("desk__look", "/version")
    assert fact.arguments["order_id"] == "order_id"  # what it requires comes from the argument of that name


def test_a_write_whose_facts_cannot_be_read_is_not_offered() -> None:
    unaccepted = offer_views([HELD, replace(LOOK, fingerprint=None)], AT, {"refund": REFUND})
    assert dict(unaccepted.tools) == {}
    assert "its version cannot be read" in unaccepted.quarantined[HELD.name]
    optional = replace(HELD, precondition=FactSource("desk__look", "/version", {"amount": "colour"}))
    given = offer_views([optional, LOOK], AT, {"refund": REFUND})
    assert "need not have colour" in given.quarantined[HELD.name]
    secret = replace(HELD, secrets=frozenset({"amount"}))
    assert "which is secret" in offer_views([secret, LOOK], AT, {"refund": REFUND}).quarantined[HELD.name]


def test_case_68_a_tool_that_dispatches_by_name_is_used_only_through_views_with_the_name_fixed() -> None:
    schema: JsonObject = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "args": {"type": "object"}},
    }
    call = UpstreamTool("call", "Calls any tool.", schema)
    accepted = fingerprint(AT, call)
    hidden = View("desk__call", "desk", "call", fingerprint=accepted)
    orders = View(
        "desk__orders", "desk", "call", "read", False, fixed={"name": "orders"}, fingerprint=accepted
    )
    wipe = replace(orders, name="desk__wipe", effect="write", fixed={"name": "wipe"}, target="all")
    offer = offer_views([hidden, orders, wipe], AT, {"call": call})
    assert {name: tool.effect for name, tool in offer.tools.items()} == {
        "desk__orders": "read",
        "desk__wipe": "write",
    }
    assert all("name" not in str(tool.input_schema["properties"]) for tool in offer.tools.values())


def test_case_100_uses_of_the_desks_names_are_found() -> None:
    tools = [
        replace(REFUND, name="cite"),
        with_schema(properties={"run_id": {}, "approval_token": {}}),
        REFUND,
    ]
    assert reserved_uses(tools) == ("cite", "refund.run_id", "refund.approval_token")
