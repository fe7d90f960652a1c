"""`bailiwick demo`: one governed run from trigger to executed write, on an embedded default, offline."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from server.cli.options import Json
from server.cli.printing import print_json, tell

FIXED_PORT = 8765


def add_to(app: typer.Typer) -> None:
    """Put this command among the commands."""
    app.command("demo")(demo)


def demo(
    keep: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Make everything in this new folder and leave it there."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help=f"The server's port; {FIXED_PORT} when the demo stays."),
    ] = None,
    stay: Annotated[
        bool | None,
        typer.Option(
            "--stay/--no-stay", help="Stay up afterwards, for you to review; on a terminal it does."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """See one governed run, from trigger to executed write.

    Exit code 0 only if every promise was observed.
    """
    import anyio
    from rich.console import Console

    from server.demo.show import show_demo
    from server.errors import BadInput
    from server.serving import listening

    stays = (sys.stdout.isatty() and not json) if stay is None else stay
    console = Console(quiet=json, highlight=False)
    root = None if keep is None else keep.expanduser().absolute()
    if root is not None and root.exists():
        raise BadInput(f"{root} exists already; name a new folder with --keep.")
    listen_on = port if port is not None else FIXED_PORT if stays else 0
    with listening("127.0.0.1", listen_on):
        pass  # it is found out now and not behind the whole stage, if the port is taken
    observed = anyio.run(partial(show_demo, root, console, port=listen_on, stays=stays))
    if json:
        print_json(observed.as_json())
    for name in observed.missing:
        tell(f"bailiwick: not observed: {observed.as_json()['promises'][name]['promise']}")
    raise typer.Exit(0 if observed.all_hold else 1)
