"""`bailiwick witness`: keeps the heads of logs, on another machine and under another account."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from server.cli.options import Json
from server.cli.printing import print_json, print_table, tell

app = typer.Typer(
    help="Keep the newest heads of logs elsewhere.", no_args_is_help=True, rich_markup_mode=None
)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The witness's own folder.")]


@app.command("init")
def init(
    folder: Folder,
    name: Annotated[str, typer.Option(help="What it is called in its confirmations, like a host's name.")],
) -> None:
    """Make a witness; prints its public key, for the setting `witness_key` of the servers it watches."""
    from server.witness_folder import create_witness

    print(create_witness(folder, name).verifier_key)
    tell("Next: `bailiwick witness trust` with each log's key, then `bailiwick witness serve`.")


@app.command("trust")
def trust(
    folder: Folder,
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="The log's key, as `bailiwick key ring` shows it.")
    ],
) -> None:
    """Accept the heads that this key signs, besides those known; prints the log's name."""
    from server.witness_folder import open_witness

    print(open_witness(folder).trust(key))
    tell("A witness that is running learns of it when it is started again.")


@app.command("list")
def list_(folder: Folder, json: Json = False) -> None:
    """Every log that is known, how far it was seen, and the keys that sign it."""
    from server.witness_folder import open_witness, origins

    rows = origins(open_witness(folder))
    if json:
        print_json([{"log": log, "size": size, "keys": keys.split()} for log, size, keys in rows])
        return
    print_table(("log", "entries", "keys"), rows)


@app.command("serve")
def serve(
    folder: Folder,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Its port; 0 takes a free one.", min=0, max=65_535)] = 8766,
) -> None:
    """Witness logs over HTTP until Ctrl-C or SIGTERM; refuses every head that does not extend what it saw."""
    from server.serving_witness import serve_witness

    serve_witness(folder, host, port, told=lambda url: print(url, flush=True))
