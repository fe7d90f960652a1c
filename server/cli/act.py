"""`bailiwick act`: acts that lower the gate, and the second admin that each of them takes."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli.options import As, Data, Json, Key, desk
from server.cli.printing import plain, print_json, print_pairs, print_table, tell

app = typer.Typer(
    help="Acts that lower the gate, which take two admins.", no_args_is_help=True, rich_markup_mode=None
)

Act = Annotated[str, typer.Argument(metavar="ACT", help="Its id (act_…).")]


@app.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """The acts that wait for a second admin."""
    acts = desk(data, key, person).ask("act.list")["acts"]
    acts = [act for act in acts if every or act["state"] == "proposed"]
    if json:
        print_json(acts)
        return
    print_table(
        ("act", "operation", "proposed by", "expires", "state", "how it lowers the gate"),
        [
            (
                act["act"],
                act["operation"],
                act["proposed_by"],
                act["expires"],
                act["state"],
                "; ".join(act["lowers"]),
            )
            for act in acts
        ],
    )


@app.command("show")
def show(act: Act, data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """One act in full: what would be done, and how it lowers the gate."""
    found = desk(data, key, person).ask("act.show", act=act)
    if json:
        print_json(found)
        return
    names = ("act", "operation", "state", "proposed_by", "proposed", "expires", "signed_by", "digest")
    print_pairs([(name.replace("_", " "), found[name]) for name in names])
    for why in found["lowers"]:
        print(f"lowers the gate: {plain(why)}")
    for line in found["what"]:
        print(f"  {plain(line)}")


@app.command("sign")
def sign(
    act: Act,
    digest: Annotated[
        str | None, typer.Option(help="The digest that `act show` gave you; else that of now.")
    ] = None,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Be the second admin: sign an act that another one proposed, and have it done."""
    at = desk(data, key, person)
    seen = at.ask("act.show", act=act)
    result = at.ask("act.sign", act=act, digest=digest or seen["digest"])
    if json:
        print_json(result)
        return
    print(result["act"])
    tell(f"  done: {result['operation']}, proposed by {seen['proposed_by']}: {'; '.join(seen['lowers'])}")


@app.command("withdraw")
def withdraw(act: Act, data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """Take an act off the list. Any admin may: a no needs no second."""
    result = desk(data, key, person).ask("act.withdraw", act=act)
    print_json(result) if json else print(result["act"])
