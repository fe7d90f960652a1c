"""`bailiwick upstream`: the MCP servers that tools come from, and what each of their tools is."""

from __future__ import annotations

from shutil import get_terminal_size
from typing import Annotated

import typer

from server.cli.options import As, Data, Json, Key, Printed, desk, pairs
from server.cli.printing import plain, print_json, print_table, tell

app = typer.Typer(help="MCP servers that tools come from.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME")]


@app.command("add")
def add(
    name: Name,
    command: Annotated[
        list[str] | None, typer.Argument(metavar="-- COMMAND...", help="How to start it over stdio.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Its address, when it is reached by HTTP.")] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A variable of its own; ${NAME} is a secret."),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A header, such as a credential, as ${NAME}."),
    ] = None,
    cwd: Annotated[str | None, typer.Option(help="The folder that it is started in.")] = None,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Look at a server once and draft its catalogue, in which every tool is a hidden write."""
    at = desk(data, key, person)
    result = at.ask(
        "upstream.add",
        name=name,
        command=command or [],
        env=pairs(env or (), "--env"),
        cwd=cwd,
        url=url,
        headers=pairs(header or (), "--header"),
    )
    if json:
        print_json(result)
        return
    print(result["upstream"])
    for tool in result["tools"]:
        print(f"\n  {plain(tool['tool'])}({plain(', '.join(tool['arguments']))})")
        print(f"    {_short(tool['description'])}")
        if _hints(tool):
            print(f"    says of itself: {_hints(tool)}")
    tell(
        f"\n{len(result['tools'])} tools, each a hidden write until you say what it is:\n"
        f"  edit {result['file']}\n"
        "then see what your workflows make of it:\n"
        f"  bailiwick workflow check{at.given}"
    )
    _tell_when(result)


@app.command("list")
def list_(data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """The upstreams and the views of their tools."""
    upstreams = desk(data, key, person).ask("upstream.list")["upstreams"]
    if json:
        print_json(upstreams)
        return
    rows = [
        (
            one["upstream"],
            _running(one),
            view["view"],
            view["effect"],
            view["held_back"] or ("hidden" if view["hidden"] else "offered"),
        )
        for one in upstreams
        for view in one["views"] or [{"view": "", "effect": "", "hidden": True, "held_back": None}]
    ]
    print_table(("upstream", "state", "view", "effect", "offered"), rows)


@app.command("diff")
def diff(name: Name, data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """Start an upstream and compare its tools with what was accepted."""
    found = desk(data, key, person).ask("upstream.diff", name=name)
    if json:
        print_json(found)
        return
    _print_differences(found)
    if found["differences"]:
        tell(f"To accept: bailiwick upstream accept {name} [TOOL...]")


@app.command("accept")
def accept(
    name: Name,
    tools: Annotated[list[str] | None, typer.Argument(metavar="[TOOL...]", help="Without any, all.")] = None,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Accept tools as they are now: shows what is accepted, and binds the acceptance to exactly that."""
    from server.errors import BadInput

    at = desk(data, key, person)
    found = at.ask("upstream.diff", name=name)
    live = {one["tool"]: one["fingerprint"] for one in found["differences"] if one["fingerprint"]}
    wanted = {tool: live[tool] for tool in tools or live if tool in live}
    missing = [tool for tool in tools or () if tool not in live]
    if missing:
        raise BadInput(
            f"There is nothing to accept of {missing[0]}: it is as it was, or {name} has no such tool."
        )
    if not wanted:
        raise BadInput(f"There is nothing to accept: every tool of {name} is as it was.")
    if not json:
        _print_differences(
            {**found, "differences": [one for one in found["differences"] if one["tool"] in wanted]}
        )
    result = at.ask("upstream.accept", name=name, tools=wanted)
    if json:
        print_json(result)
        return
    for tool in result["accepted"]:
        print(tool)
    _tell_when(result)


@app.command("load")
def load(data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """Agree to the catalogue as it is, for the next start; what lowers the gate takes two admins."""
    at = desk(data, key, person)
    found = at.ask("upstream.changes")
    if not found["lowers"]:
        print_json(found) if json else tell("Nothing in the catalogue lowers the gate; a start takes it.")
        return
    result = at.ask("upstream.load", digest=found["digest"], base=found["base"])
    if json:
        print_json(result)
        return
    print(result["digest"])
    _tell_when(result)


def _print_differences(found: Printed) -> None:
    for one in found["differences"]:
        print(f"{plain(one['tool'])}: {plain(one['why'])}")
        for line in one["diff"]:
            print(f"  {plain(line)}")
    print(f"{found['same']} tools are as they were accepted.")


def _tell_when(result: Printed) -> None:
    if result["served"]:
        tell("The running server goes on with the catalogue that it loaded: restart it to use this one.")


def _hints(tool: Printed) -> str:
    """What the upstream claims of a tool; claims are shown and never believed."""
    said = [name.removesuffix("Hint") for name, value in tool["hints"].items() if value is True]
    return plain(", ".join(said))


def _short(text: str) -> str:
    """The beginning of a description, as much as fits behind the margin of a terminal."""
    width = max(get_terminal_size().columns - 5, 40)
    line = plain(" ".join(text.split()) or "(no description)")
    return line if len(line) <= width else line[: width - 1] + "…"


def _running(upstream: Printed) -> str:
    if upstream["running"] is None:
        return "not looked at"
    return "running" if upstream["running"] else upstream["trouble"]
