"""Whether one catalogue lowers the gate against another: a tool that is no write any more, a tool that is no
longer sensitive, an upstream that is reached in another way.

What is not classified is a hidden write, so a read that was not there before lowers the gate too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from ledger.canonical import JsonObject, digest
from tool_scopes.catalogue import Catalogue, CatalogueUpstream, View


def tools_in_force(catalogue: Catalogue) -> str:
    """What the catalogue's tools are, as the text that the ledger keeps: what each is, how its upstream is
    reached, and the fingerprint that was accepted.
    """
    whole = {
        "upstreams": {name: _reach(upstream) for name, upstream in catalogue.upstreams.items()},
        "views": {name: _view(view) for name, view in catalogue.views.items()},
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
        known = any(all(old[key] == view[key] for key in ("effect", "fixed", "bound")) for old in same_tool)
        return None if known else f"{name} is a {view['effect']}, and no longer a write"
    # By its own name, or because the tool had no view that is not sensitive.
    was = [before[name]] if name in before else [old for old in same_tool if old["effect"] == "write"]
    if was and all(old["sensitive"] for old in was) and not view["sensitive"]:
        return f"{name} is no longer sensitive"
    return None


def _read(text: str) -> dict[str, dict[str, Any]]:
    return cast("dict[str, dict[str, Any]]", json.loads(text))


def _reach(upstream: CatalogueUpstream) -> str:
    """A digest of how an upstream is reached: its command and variables are nobody's business here."""
    told = {name: value for name, value in upstream.as_json().items() if name not in ("name", "timeout_s")}
    return digest("bailiwick-reach-v1", told)


def _view(view: View) -> JsonObject:
    told = view.as_json()
    return {
        name: told[name]
        for name in ("upstream", "tool", "effect", "sensitive", "fixed", "bound", "fingerprint")
    }
