"""Completions of ids: only what the caller could name anyway. Anything else completes to nothing."""

from __future__ import annotations

import json
from typing import Any, Final, cast

from mcp_types import CompleteRequestParams, CompleteResult, Completion, PromptReference

from context_store.shown import read_bundle
from server import prompts
from tool_scopes.grants import grant_of_step
from tool_scopes.house import Caller, House
from tool_scopes.own_things import own_bundles, own_requests, own_runs, standing_or_none

MOST: Final = 100
"""The most values that one answer may hold (MCP)."""


def complete(house: House, caller: Caller, params: CompleteRequestParams) -> CompleteResult:
    """The values of one argument that begin with what was typed."""
    asked, typed = params.argument.name, params.argument.value
    known = (params.context.arguments if params.context is not None else None) or {}
    if isinstance(params.ref, PromptReference):
        values = _of_prompt(house, caller, params.ref.name) if asked == "run_id" else []
    else:
        scheme = params.ref.uri.partition("://")[0]
        values = _of_resource(house, caller, scheme, asked, known.get("run_id"))
    fitting = [value for value in values if value.startswith(typed)]
    return CompleteResult(
        completion=Completion(values=fitting[:MOST], total=len(fitting), has_more=len(fitting) > MOST)
    )


def _of_prompt(house: House, caller: Caller, name: str) -> list[str]:
    place = prompts.names(house, caller).get(name)
    if place is None or caller.run is not None:
        return []
    workflow, step = place
    at = Caller(caller.agent, workflow=workflow.name, step=step.name)
    return house.ledger.read(lambda reading: own_runs(reading, at))


def _of_resource(house: House, caller: Caller, scheme: str, asked: str, run_id: str | None) -> list[str]:
    if asked == "run_id" or (scheme, asked) == ("run", "id"):
        return house.ledger.read(lambda reading: own_runs(reading, caller))
    if asked != "id":
        return []
    if scheme == "bundle":
        return own_bundles(house, caller, run_id)
    if scheme == "approval":
        return own_requests(house, caller, run_id)
    return _quoted(house, caller, run_id) if scheme == "evidence" else []


def _quoted(house: House, caller: Caller, run_id: str | None) -> list[str]:
    """The provenance ids that the run's bundles quote, in the order in which it was shown them."""
    found: dict[str, None] = {}
    for bundle in own_bundles(house, caller, run_id):

        def look(reading: Any, bundle: str = bundle) -> bytes | None:
            standing = standing_or_none(house, reading, caller, run_id)
            return None if standing is None else read_bundle(reading, grant_of_step(house, standing), bundle)

        raw = house.ledger.read(look)
        body = cast("dict[str, list[dict[str, str]]]", {} if raw is None else json.loads(raw))
        found |= dict.fromkeys(item["id"] for item in body.get("items", []))
    return list(found)
