"""`bailiwick trigger`: signed webhooks that open runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from server.cli.options import As, Data, Json, Key, Printed, desk, pairs
from server.cli.printing import print_json, print_table, tell

app = typer.Typer(help="Signed webhooks that open runs.", no_args_is_help=True, rich_markup_mode=None)

Trigger = Annotated[str, typer.Argument(metavar="TRIGGER")]
SecretFile = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="A file with the sender's secret (whsec_…), - for stdin; else one is made."
    ),
]


@app.command("add")
def add(
    trigger: Trigger,
    workflow: Annotated[str, typer.Option(help="The workflow that it opens.")],
    agent: Annotated[str, typer.Option(help="The agent whose runs they are.")],
    event: Annotated[
        str | None, typer.Option(help="Only events of this `type` open a run; else all do.")
    ] = None,
    take: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=/POINTER",
            help="Where in the payload a key of the input stands; without any, `data` is the input.",
        ),
    ] = None,
    secret_file: SecretFile = None,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Make a trigger; prints its secret, which is shown this once."""
    result = desk(data, key, person).ask(
        "trigger.add",
        trigger=trigger,
        workflow=workflow,
        agent=agent,
        event=event,
        takes=pairs(take or [], "--take"),
        secret=_secret(secret_file),
    )
    _print(result, json=json)
    if not json:
        tell(f"Deliveries go to {result['path']} of the server, signed as Standard Webhooks says.")


@app.command("list")
def list_(data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """Every trigger, and which of its secrets are good."""
    found = desk(data, key, person).ask("trigger.list")["triggers"]
    if json:
        print_json(found)
        return
    names = ("trigger", "path", "workflow", "agent", "event")
    rows = [
        (*(one[name] for name in names), ", ".join(_until(secret) for secret in one["secrets"]))
        for one in found
    ]
    print_table((*names, "secrets"), rows)


@app.command("rotate")
def rotate(
    trigger: Trigger,
    overlap_hours: Annotated[
        int, typer.Option(min=0, max=2_160, help="How long the older secrets stay good; 0 ends them now.")
    ] = 24,
    secret_file: SecretFile = None,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Give a trigger a new secret; prints it, this once."""
    result = desk(data, key, person).ask(
        "trigger.rotate", trigger=trigger, overlap_hours=overlap_hours, secret=_secret(secret_file)
    )
    _print(result, json=json)
    if not json:
        tell(f"The older secrets are good until {result['older_until']}.")


@app.command("remove")
def remove(
    trigger: Trigger, data: Data = None, key: Key = None, person: As = None, json: Json = False
) -> None:
    """End a trigger: its deliveries are refused from now on, and its secrets erased."""
    result = desk(data, key, person).ask("trigger.remove", trigger=trigger)
    print_json(result) if json else print(result["trigger"])


def _secret(place: str | None) -> str | None:
    """The secret that somebody brings along: never as an argument, where other programs could read it."""
    from tool_scopes.yaml_files import read_text_file

    if place is None:
        return None
    return (sys.stdin.read(4_096) if place == "-" else read_text_file(Path(place))).strip()


def _print(result: Printed, *, json: bool) -> None:
    if json:
        print_json(result)
        return
    print(result["secret"] or result["trigger"])
    if result["secret"]:
        tell("This secret is shown this once: give it to the sender, and to nobody else.")


def _until(secret: Printed) -> str:
    return str(secret["secret"]) + (f" until {secret['until']}" if secret["until"] else "")
