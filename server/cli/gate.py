"""`bailiwick freeze` and `unfreeze`."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli.options import As, Data, Json, Key, Printed, desk
from server.cli.printing import plain, print_json, tell

Reason = Annotated[str, typer.Option(help="Why; it is written down.")]
Agent = Annotated[str | None, typer.Option(metavar="NAME", help="Only this agent.")]
Tool = Annotated[str | None, typer.Option(metavar="NAME", help="Only this tool, by its catalogue name.")]


def add_to(app: typer.Typer) -> None:
    """Put `freeze` and `unfreeze` among the commands."""
    app.command("freeze")(freeze)
    app.command("unfreeze")(unfreeze)


def freeze(
    agent: Agent = None,
    tool: Tool = None,
    reason: Reason = "",
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Stop all work at once, whatever was approved; or one agent, or one tool."""
    result = desk(data, key, person).ask("freeze", reason=reason, agent=agent, tool=tool)
    _print(result, "frozen", json=json)


def unfreeze(
    agent: Agent = None,
    tool: Tool = None,
    reason: Reason = "",
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Let work go on after a freeze; once there was a second admin, it takes two."""
    result = desk(data, key, person).ask("unfreeze", reason=reason, agent=agent, tool=tool)
    _print(result, "at work", json=json)


def _print(result: Printed, state: str, *, json: bool) -> None:
    if json:
        print_json(result)
        return
    print(state if result["what"] == "everything" else f"{state}: {plain(result['what'])}")
    if not result["changed"]:
        tell("  it was so already")
