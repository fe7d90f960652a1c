"""The files of the stage: one catalogue, four workflows, and the texts that are evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tests.rooms import recording_upstream
from tool_scopes.upstream.servers import StdioServer
from tool_scopes.upstream.tools import UpstreamTool, fingerprint

PROGRAM = Path(recording_upstream.__file__)
TIMEOUT_S = 10.0
"""How long a call of the upstream may take."""

RULES = """---
collection: rules
---
# Prices

The price of an item may be changed when its supplier changed theirs.

A price is never negative. Smart “quotes” and an e\u0301 stay as they are.

# Labels

A label names the shelf of an item. A price is never negative.
"""
WEEK = "---\nfacts: {delivery_days: 7}\ncollection: rules\n---\n# Delivery\n\nA parcel arrives within 7 days."
TEN = "---\nfacts: {delivery_days: 10}\ncollection: rules\n---\n# Parcels\n\nA parcel comes within 10 days."
BOARD = "---\nlabels: [board]\ncollection: rules\n---\n# Board\n\nThe board sells the price list in autumn."
SOURCES = {"prices.md": RULES, "week.md": WEEK, "ten.md": TEN, "board.md": BOARD}

ABOUT_PRICES = "When may the price of an item be changed?"
ABOUT_DELIVERY = "Within how many days does a parcel arrive?"
ABOUT_NOTHING = "Which violin concerto did the orchestra rehearse?"

_WRITES: Mapping[str, tuple[dict[str, object], ...]] = {
    "change_item": (
        {},
        {"name": "shop__change_own", "bound": {"item_id": "item_id"}},
        {"name": "shop__change_big", "sensitive": True},
        {
            "name": "shop__change_held",
            "precondition": {"view": "shop__count_item", "pointer": "/version"},
            "affects": {"view": "shop__count_item", "pointer": "/rows"},
        },
        {"name": "shop__change_by_curators", "approval": {"needed": 2, "role": "curator"}},
    ),
    "store_code": ({"secrets": ["code"]},),
    "rename_item": ({},),
}
_READS = {
    "read_item": "read",
    "find_item": "lookup",
    "try_change": "simulate",
    "count_item": "simulate",
    "try_code": "read",
}
_MORE: Mapping[str, dict[str, object]] = {"count_item": {"hidden": True}, "try_code": {"secrets": ["code"]}}
_UNBOUND = frozenset({"find_item", "count_item", "try_code"})


def catalogue(*, timeout_s: float = TIMEOUT_S, accept: str = "") -> str:
    """The catalogue of the shop. `accept` names the change of its tools that the admin has accepted."""
    env = {"RECORDING": "${DATA}/recording"}
    server = StdioServer(("${PYTHON}", str(PROGRAM)), env)
    accepted = _fingerprints(server, accept)
    tools: dict[str, object] = {}
    for name, views in _WRITES.items():
        written = {"effect": "write", "target": "item:{item_id}", "no_effect_errors": ["^no effect:"]}
        tools[name] = [{**written, **view, "fingerprint": accepted[name]} for view in views]
    for name, effect in _READS.items():
        bound = {} if name in _UNBOUND else {"bound": {"item_id": "item_id"}}
        tools[name] = {"effect": effect, **bound, **_MORE.get(name, {}), "fingerprint": accepted[name]}
    whole: dict[str, object] = {
        "upstream": "shop",
        "transport": "stdio",
        "command": list(server.command),
        "env": env,
        "timeout": timeout_s,
        "tools": tools,
    }
    return json.dumps(whole, indent=1)  # YAML holds JSON


def workflows() -> dict[str, str]:
    """The workflow files by name: `change` starts where it may write, `repair` has all five kinds of step."""
    given = {
        "type": "object",
        "properties": {"item_id": {"type": "string"}, "request": {"type": "string"}},
        "required": ["item_id", "request"],
        "additionalProperties": False,
    }
    found = {"type": "object", "properties": {"finding": {"type": "string"}}, "required": ["finding"]}
    context = {"collections": ["rules"], "need": "{request}", "budget": 400}

    def step(kind: str, tools: list[str], following: list[str], **more: object) -> dict[str, object]:
        return {"kind": kind, "purpose": f"To {kind}.", "tools": tools, "next": following, **more}

    def workflow(name: str, start: str, about: str | None = None, **steps: dict[str, object]) -> str:
        whole = {"workflow": name, "version": 1, "purpose": f"To {name}.", "input": given, "start": start}
        whole |= {} if about is None else {"subject": about}
        return json.dumps({**whole, "steps": steps}, indent=1)

    many = {"limits": {"executions": 50}, "context": context}
    sure = {
        "checkpoints": {"confidence_below": 0.6, "repeated_retries": 1_000},
        "context": context,
        "output": found,
    }
    patient = {"limits": {"retries": 50}}
    return {
        "change": workflow(
            "change",
            "act",
            act=step("execute", ["shop__change_item"], ["again", "rename"], **many),
            again=step("execute", ["shop__change_item"], []),
            rename=step("execute", ["shop__rename_item"], []),
        ),
        "big": workflow("big", "act", act=step("execute", ["shop__change_big"], [])),
        "held": workflow("held", "act", act=step("execute", ["shop__change_held"], [], **many)),
        "curated": workflow("curated", "act", act=step("execute", ["shop__change_by_curators"], [])),
        "double": workflow(
            "double", "act", act=step("execute", ["shop__change_item"], [], limits={"approvals": 2})
        ),
        "sealed": workflow(
            "sealed",
            "look",
            look=step("read", ["shop__try_code"], ["draft"]),
            draft=step("draft", [], ["act"], output=found),
            act=step("execute", ["shop__store_code"], [], **many),
        ),
        "labelled": workflow(
            "labelled",
            "look",
            look=step(
                "read",
                [],
                [],
                context={**context, "labels": ["board"]},
                output={"type": "object", "properties": {"item_id": {}}},
                carry=["item_id"],
            ),
        ),
        # Trouble leads to `aside`, which is no ordinary way from anywhere.
        "guarded": workflow(
            "guarded",
            "look",
            "item_id",
            look=step(
                "read",
                ["shop__read_item"],
                ["act", "think"],
                context=context,
                output=found,
                carry=["finding"],
                limits={"calls": 3, "minutes": 60, "retries": 2},
                checkpoints={"repeated_retries": 5},
                on=dict.fromkeys(
                    ("insufficient", "contradictory", "unavailable", "timeout", "retries_exhausted"), "aside"
                ),
            ),
            act=step("execute", ["shop__change_own"], [], on={"denied": "aside"}),
            think=step("read", [], [], context=context, checkpoints={"bundle_above": 5}),
            aside=step("read", [], []),
        ),
        "repair": workflow(
            "repair",
            "read",
            read=step("read", ["shop__read_item"], ["classify"], **sure, carry=["finding"], **patient),
            classify=step("classify", ["shop__find_item"], ["plan"], **sure),
            plan=step("plan", ["shop__try_change"], ["draft"], **sure),
            draft=step("draft", [], ["execute"], **sure),
            execute=step("execute", ["shop__change_own"], []),
        ),
    }


def _fingerprints(server: StdioServer, accept: str) -> dict[str, str]:
    return {
        tool["name"]: fingerprint(
            server.endpoint, UpstreamTool(tool["name"], tool["description"], tool["inputSchema"])
        )
        for tool in recording_upstream.listed(accept)
    }
