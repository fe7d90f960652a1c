"""`bailiwick agent`: who may call."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli.options import As, Data, Json, Key, desk
from server.cli.printing import print_json, print_table, tell

app = typer.Typer(help="Programs that may call.", no_args_is_help=True, rich_markup_mode=None)

Agent = Annotated[str, typer.Argument(metavar="AGENT")]


@app.command("add")
def add(
    agent: Agent,
    owner: Annotated[str | None, typer.Option(help="The person who answers for it; else you.")] = None,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Enrol an agent; prints its key, which is shown this once."""
    result = desk(data, key, person).ask("agent.add", agent=agent, owner=owner)
    if json:
        print_json(result)
        return
    print(result["key"])
    tell(
        f"This key of {agent} is shown this once: keep it where the agent runs, and send it as "
        "`Authorization: Bearer …`, or as BAILIWICK_AGENT_KEY to `bailiwick stdio`."
    )


@app.command("list")
def list_(data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """Every agent, and who answers for it."""
    agents = desk(data, key, person).ask("agent.list")["agents"]
    if json:
        print_json(agents)
        return
    names = ("agent", "owner", "enrolled", "revoked")
    print_table(names, [tuple(one[name] for name in names) for one in agents])


@app.command("revoke")
def revoke(agent: Agent, data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """End an agent: its keys open nothing from the next request on."""
    result = desk(data, key, person).ask("agent.revoke", agent=agent)
    print_json(result) if json else print(result["agent"])
