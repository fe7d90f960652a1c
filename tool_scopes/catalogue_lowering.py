"""Whether one catalogue lowers the gate against another: a tool that is no write any more or no longer
sensitive, a write that fewer or other people approve or of which less is looked at, an upstream that is
reached in another way.

What is not classified is a hidden write, so a read that was not there before lowers the gate too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

from ledger.canonical import JsonObject, digest
from tool_scopes.catalogue import Catalogue, CatalogueUpstream, View


def tools_in_force(catalogue: Catalogue) -> str:
    """What the catalogue's tools are, as the text that the ledger keeps: what each is, how its upstream is
    reached, and the fingerprint that was accepted.
    """
    whole = {
        "upstreams": {name: _reach(upstream) for name, upstream in catalogue.upstreams.items()},
        "views": {name: kept_view(view) for name, view in catalogue.views.items()},
    }
    return json.dumps(whole, sort_keys=True, separators=(",", ":"))


def lowerings(before: str | None, after: str) -> tuple[str, ...]:
    """How `after` lowers the gate against `before`, as sentences; empty when it does not.

    Both as `tools_in_force` writes them; without a `before` that can be trusted, everything might be lowered.
    """
    old = _read(before if before is not None else '{"upstreams": {}, "views": {}}')
    new = _read(after)
    moved = [
        f"upstream {name} is reached in another way"
        for name, reach in sorted(new["upstreams"].items())
        if old["upstreams"].get(name, reach) != reach
    ]
    views = sorted(new["views"].items())
    return (*moved, *(why for name, view in views if (why := _lowered(name, view, old["views"]))))


def _lowered(name: str, view: Mapping[str, Any], before: Mapping[str, Any]) -> str | None:
    same_tool = [old for old in before.values() if all(old[key] == view[key] for key in ("upstream", "tool"))]
    if view["effect"] != "write":
        claimed = [
            old for old in same_tool if all(old[key] == view[key] for key in ("effect", "fixed", "bound"))
        ]
        if not claimed:
            return f"{name} is a {view['effect']}, and no longer a write"
        # The claim that it changes nothing was made of a tool that is another one by now.
        same = any(old["fingerprint"] == view["fingerprint"] for old in claimed)
        return None if same else f"{name} is a {view['effect']} of a tool that is not as it was accepted"
    # By its own name, or because the tool had no view of which it is not so.
    was = [before[name]] if name in before else [old for old in same_tool if old["effect"] == "write"]
    ways = [tuple(_loosened(old, view)) for old in was]
    common = [way for way in ways[0] if all(way in others for others in ways)] if ways else []
    return f"{name} {', '.join(common)}" if common else None


def _loosened(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """What a write's view no longer asks for, each as the end of a sentence."""
    if old["sensitive"] and not new["sensitive"]:
        yield "is no longer sensitive"
    asked, asks = old["approval"], new["approval"]
    if asks["needed"] < asked["needed"]:
        yield "needs fewer approvals"
    if asks["role"] != asked["role"]:
        yield f"is approved by people of another role ({asks['role']})"
    if asked["four_eyes"] and not asks["four_eyes"]:
        yield "may be approved by the agent's owner"
    if any(new["facts"].get(name) != source for name, source in old["facts"].items()):
        yield "is made without the same look at its target"
    if set(old["secrets"]) - set(new["secrets"]):
        yield "no longer seals all of its secrets"
    if set(new["no_effect_errors"]) - set(old["no_effect_errors"]):
        yield "takes more errors to mean that nothing happened"


def _read(text: str) -> dict[str, dict[str, Any]]:
    return cast("dict[str, dict[str, Any]]", json.loads(text))


def _reach(upstream: CatalogueUpstream) -> str:
    """A digest of how an upstream is reached: its command and variables are nobody's business here."""
    told = {name: value for name, value in upstream.as_json().items() if name not in ("name", "timeout_s")}
    return digest("bailiwick-reach-v1", told)


def kept_view(view: View) -> JsonObject:
    """What a view asks before a call is made, and of which tool."""
    told = view.as_json()
    return {name: told[name] for name in told.keys() - {"name", "hidden", "target", "description"}}
