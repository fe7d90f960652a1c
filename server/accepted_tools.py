"""Upstream tools as an admin accepted them, kept so that a later change can be shown line by line.

For showing only: whether a tool is as accepted is decided by the fingerprint in the catalogue, and by nothing
else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import unified_diff
from pathlib import Path
from typing import cast

from ledger.canonical import JsonObject
from server.data_folder import DataFolder, write_private
from tool_scopes.upstream.tools import UpstreamTool


def keep_definitions(folder: DataFolder, upstream: str, tools: Mapping[str, UpstreamTool]) -> None:
    """Keep these tools as they are now; what was kept of others stays."""
    folder.accepted_dir.mkdir(mode=0o700, exist_ok=True)
    kept = kept_definitions(folder, upstream) | {name: _definition(tool) for name, tool in tools.items()}
    write_private(_file(folder, upstream), json.dumps(kept, indent=1, ensure_ascii=False).encode())


def kept_definitions(folder: DataFolder, upstream: str) -> dict[str, JsonObject]:
    """The definitions as they were accepted, by tool; none when nothing usable was kept."""
    try:
        return cast("dict[str, JsonObject]", json.loads(_file(folder, upstream).read_bytes()))
    except (OSError, ValueError):
        return {}


def difference(name: str, before: JsonObject | None, tool: UpstreamTool | None) -> list[str]:
    """What is different now, as lines of a unified diff."""
    after = None if tool is None else _definition(tool)
    names = f"{name} (accepted)", f"{name} (now)"
    return list(unified_diff(_lines(before), _lines(after), *names, lineterm=""))


def _file(folder: DataFolder, upstream: str) -> Path:
    return folder.accepted_dir / f"{upstream}.json"


def _definition(tool: UpstreamTool) -> JsonObject:
    return {
        "description": tool.description,
        "input_schema": tool.input_schema,
        "output_schema": tool.output_schema,
    }


def _lines(definition: JsonObject | None) -> list[str]:
    if definition is None:
        return []
    return json.dumps(definition, indent=2, ensure_ascii=False, sort_keys=True).splitlines()
