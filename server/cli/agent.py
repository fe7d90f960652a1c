"""`bailiwick agent`: who may call."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli.options import As, Data, Json, Key, desk, pairs
from server.cli.printing import print_json, print_table, tell

app = typer.Typer(help="Programs that may call.", no_args_is_help=True, rich_markup_mode=None)

Agent = Annotated[str, typer.Argument(metavar="AGENT")]


@app.command("add")
def add(
    agent: Agent,
    owner: Annotated[str | None, typer.Option(help="The person who answers for it; else you.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="An access label of evidence that it holds; repeat for more.")
    ] = None,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Enrol an agent; prints its key, which is shown this once."""
    result = desk(data, key, person).ask("agent.add", agent=agent, owner=owner, labels=label or [])
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
    print_table(
        ("agent", "owner", "labels", "enrolled", "revoked"),
        [
            (one["agent"], one["owner"], ", ".join(one["labels"]), one["enrolled"], one["revoked"])
            for one in agents
        ],
    )


@app.command("labels")
def labels(
    agent: Agent,
    held: Annotated[
        list[str] | None, typer.Argument(metavar="[LABEL...]", help="All that it holds from now on.")
    ] = None,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Say which access labels of evidence an agent holds, in place of those that it held."""
    result = desk(data, key, person).ask("agent.labels", agent=agent, labels=held or [])
    print_json(result) if json else print(result["agent"])


Subject = Annotated[str, typer.Argument(metavar="SUBJECT", help="The token's `sub`.")]
Client = Annotated[
    str | None, typer.Option(help="The token's `client_id` or `azp`; else the same as SUBJECT.")
]
Issuer = Annotated[str | None, typer.Option(help="The token's `iss`; else the oauth_issuer of the settings.")]


@app.command("link")
def link(
    agent: Agent,
    subject: Subject,
    client: Client = None,
    issuer: Issuer = None,
    claim: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=TEXT", help="A claim that must be there; repeat for more."),
    ] = None,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Let whoever comes with an access token of this identity be this agent."""
    asked = pairs(claim or [], "--claim")
    names = {"subject": subject, "client": client or subject, "issuer": issuer}
    result = desk(data, key, person).ask("agent.link", agent=agent, claims=asked, **names)
    print_json(result) if json else print(result["agent"])


@app.command("unlink")
def unlink(
    agent: Agent,
    subject: Subject,
    client: Client = None,
    issuer: Issuer = None,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """End such a link: the identity is nobody here from the next request on."""
    names = {"subject": subject, "client": client or subject, "issuer": issuer}
    result = desk(data, key, person).ask("agent.unlink", agent=agent, **names)
    print_json(result) if json else print(result["agent"])


@app.command("revoke")
def revoke(agent: Agent, data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """End an agent: its keys open nothing from the next request on."""
    result = desk(data, key, person).ask("agent.revoke", agent=agent)
    print_json(result) if json else print(result["agent"])
