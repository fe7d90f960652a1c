"""`bailiwick freeze`, `unfreeze` and `policy check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from server.cli.options import As, Data, Json, Key, Printed, desk, opened
from server.cli.printing import print_json, tell

policy_app = typer.Typer(help="The gate's policies.", no_args_is_help=True, rich_markup_mode=None)

Reason = Annotated[str, typer.Option(help="Why; it is written down.")]


def add_to(app: typer.Typer) -> None:
    """Put `freeze` and `unfreeze` among the commands."""
    app.command("freeze")(freeze)
    app.command("unfreeze")(unfreeze)


def freeze(
    reason: Reason = "", data: Data = None, key: Key = None, person: As = None, json: Json = False
) -> None:
    """Stop all tool calls and new runs at once, whatever was approved."""
    _print(desk(data, key, person).ask("freeze", reason=reason), "frozen", json=json)


def unfreeze(
    reason: Reason = "", data: Data = None, key: Key = None, person: As = None, json: Json = False
) -> None:
    """Let work go on after a freeze."""
    _print(desk(data, key, person).ask("unfreeze", reason=reason), "at work", json=json)


@policy_app.command("check")
def check(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="Without one, the data folder's policies.")
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Whether policies are right; prints the id of each. It reads files only, so it needs no key."""
    from policies.cedar import PolicySet

    place = opened(data)[0].policy_dir if folder is None else folder
    policies = PolicySet.load(place)
    if json:
        print_json({"digest": policies.digest, "policies": list(policies.ids)})
        return
    for policy in policies.ids:
        print(policy)
    tell(f"{len(policies.ids)} policies checked; nothing is wrong. {policies.digest}")


def _print(result: Printed, state: str, *, json: bool) -> None:
    if json:
        print_json(result)
        return
    print(state)
    if not result["changed"]:
        tell("  it was so already")
