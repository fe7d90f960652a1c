"""`bailiwick release`: what was published, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from server.cli.evidence import print_bundle
from server.cli.options import As, Data, Json, Key, Printed, desk
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


@app.command("diff")
def diff(
    before: Annotated[int, typer.Argument(metavar="BEFORE", min=0, help="0 is the empty library.")],
    after: Annotated[
        int | None, typer.Argument(metavar="[AFTER]", min=1, help="Else the newest release.")
    ] = None,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """How one release differs from another: sources that came, went, or have another version."""
    found = desk(data, key, person).ask("release.diff", before=before, after=after)
    if json:
        print_json(found)
        return
    rows = [
        *(("added", "", version) for version in found["added"]),
        *(("changed", *pair) for pair in found["changed"]),
        *(("removed", version, "") for version in found["removed"]),
    ]
    print_table(("what", f"in {found['before']}", f"in {found['after']}"), rows)


@app.command("candidate")
def candidate(
    versions: Annotated[
        list[str] | None, typer.Argument(metavar="[VERSION...]", help="Without any, all that were accepted.")
    ] = None,
    need: Annotated[
        str | None, typer.Option(help="Compare what this need finds now with what it would find then.")
    ] = None,
    budget: Annotated[int, typer.Option(help="How many tokens the quotes may take.")] = 800,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """What the next release would be, before anything is published."""
    found = desk(data, key, person).ask(
        "release.candidate", versions=versions or [], need=need, budget=budget
    )
    if json:
        print_json(found)
        return
    print_pairs(
        [
            ("release", found["release"]),
            *((what, version) for what in ("added", "superseded") for version in found[what]),
        ]
    )
    for when in ("now", "then") if need is not None else ():
        print(f"\n{when.upper()}")
        print_bundle(found[when])


@app.command("export")
def export(
    number: Annotated[int, typer.Argument(metavar="NUMBER", min=1)],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file.")],
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Write a release with its texts to a file; prints the file."""
    made = desk(data, key, person).ask("release.export", number=number, path=str(file.absolute()))
    if json:
        print_json(made)
        return
    print(made["path"])


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `release export` wrote.")],
    owner: Annotated[str | None, typer.Option(help="Who owns the sources here; else you.")] = None,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Bring the texts of an exported release in as drafts, to be reviewed and published here."""
    from context_store.contents import exported_versions
    from server.cli.importing import Wanted, bring_in, document, tell_all
    from server.errors import BadInput

    try:
        raw = file.read_bytes()
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}; check the path.") from None
    documents = [
        Wanted(one.name, lambda one=one: document(one.name, one.origin, one.raw))
        for one in exported_versions(raw, file.name)
    ]
    how: Printed = {"owner": owner, "labels": [], "collection": None, "authority": "imported"}
    done = tell_all(bring_in(desk(data, key, person), documents, how), len(documents), json=json)
    if json:
        print_json(done)
    if any("refused" in result for result in done):
        raise typer.Exit(2)
