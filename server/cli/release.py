"""`bailiwick release`: what was published, and when."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli.options import As, Data, Json, Key, desk
from server.cli.printing import print_json, print_pairs, print_table

app = typer.Typer(help="Publications of the library.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_(data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """Every release, newest first."""
    releases = desk(data, key, person).ask("release.list")["releases"]
    if json:
        print_json(releases)
        return
    print_table(
        ("release", "at", "by", "added", "superseded", "retired"),
        [
            (one["release"], one["at"], one["published_by"], *(len(one[what]) for what in _MOVED))
            for one in releases
        ],
    )


@app.command("show")
def show(
    number: Annotated[int, typer.Argument(metavar="NUMBER")],
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """What one release brought in and took out."""
    release = desk(data, key, person).ask("release.show", number=number)
    if json:
        print_json(release)
        return
    print_pairs(
        [
            ("release", release["release"]),
            ("at", release["at"]),
            ("by", release["published_by"]),
            *((what, version) for what in _MOVED for version in release[what]),
        ]
    )


_MOVED = ("added", "superseded", "retired")
