"""docs/cli.md lists every command, once, and no other; `--help` is there at once."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import typer

from server.cli import app
from tests.server.office import COMMAND, ROOT


def commands(group: Any, words: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{words} {name}")
        else:
            yield f"{words} {name}", command


def test_every_command_is_documented_once() -> None:
    documented = re.findall(r"^\| `(bailiwick [a-z -]+)` \|", (ROOT / "docs" / "cli.md").read_text(), re.M)
    assert len(documented) == len(set(documented))
    assert set(documented) == {words for words, _ in commands(typer.main.get_command(app), "bailiwick")}


def test_every_command_says_in_a_sentence_what_it_does() -> None:
    silent = [
        words
        for words, command in commands(typer.main.get_command(app), "bailiwick")
        if not (command.help or "").strip().endswith(".")
    ]
    assert silent == []


def test_every_listing_can_be_had_as_json() -> None:
    without = [
        words
        for words, command in commands(typer.main.get_command(app), "bailiwick")
        if words.endswith((" list", " show", " trace")) and not any(p.name == "json" for p in command.params)
    ]
    assert without == []


def test_help_answers_at_once_and_loads_nothing_heavy() -> None:
    began = time.perf_counter()
    subprocess.run([*COMMAND, "--help"], cwd=ROOT, check=True, capture_output=True, timeout=60)
    # Half a second is the aim; a machine that is busy with other tests gets more.
    assert time.perf_counter() - began < 3
    heavy = "{'torch', 'duckdb', 'sqlalchemy', 'mcp', 'cedarpy', 'pydantic', 'starlette'}"
    code = f"import sys, server.cli; sys.exit(bool({heavy} & sys.modules.keys()))"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
