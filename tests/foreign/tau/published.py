"""The published material of a tau domain, read where it lies: tools, data and gold calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from tests.foreign.tau.database import Document

DOMAINS = ("retail", "airline")


@dataclass(frozen=True, slots=True)
class PublishedTool:
    """A tool as its authors describe it."""

    name: str
    description: str
    input_schema: Document


@dataclass(frozen=True, slots=True)
class GoldCall:
    """A call that the authors recorded, with what it changed in their database."""

    task: int
    tool: str
    arguments: Document
    is_error: bool
    changes: list[Document]


def published_tools(folder: Path) -> tuple[PublishedTool, ...]:
    """The tools of a domain, in the order of the file."""
    return tuple(
        PublishedTool(tool["name"], tool["description"], tool["parameters"])
        for tool in json.loads((folder / "tools.json").read_text("utf-8"))
    )


def published_data(folder: Path) -> Mapping[str, Mapping[str, Document]]:
    """The database that each task starts from: kind → id → document."""
    data: dict[str, dict[str, Any]] = json.loads((folder / "db.json").read_text("utf-8"))
    return data


def gold_tasks(folder: Path) -> list[list[GoldCall]]:
    """The gold calls, task by task."""
    lines = (folder / "calls.jsonl").read_text("utf-8").splitlines()
    calls = [
        GoldCall(one["task"], one["tool"], one["arguments"], one["error"], one["changes"])
        for one in map(json.loads, lines)
    ]
    return [list(task) for _, task in groupby(calls, key=lambda call: call.task)]
