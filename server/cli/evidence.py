"""`bailiwick search` and `bailiwick bundle`: what a need finds, and what was served."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from server.cli.options import As, Data, Json, Key, Printed, desk
from server.cli.printing import plain, print_json, print_pairs, print_table
from server.shown_text import conflict_in_words

bundle_app = typer.Typer(help="Evidence as it was served.", no_args_is_help=True, rich_markup_mode=None)


def add_to(app: typer.Typer) -> None:
    """Put `search` among the commands."""
    app.command("search")(search)
    app.command("embed")(embed)


def search(
    need: Annotated[str, typer.Argument(help="What somebody needs to know, in a sentence.")],
    budget: Annotated[int, typer.Option(help="How many tokens the quotes may take.")] = 800,
    collection: Annotated[
        list[str] | None, typer.Option(help="Only this collection; repeat for more.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="As somebody who holds this label; repeat for more.")
    ] = None,
    release: Annotated[
        int | None, typer.Option(min=1, help="As of this release; else the newest one.")
    ] = None,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """See which evidence a need would bring, and what would be left out."""
    found = desk(data, key, person).ask(
        "search", need=need, budget=budget, collections=collection or [], labels=label, release=release
    )
    if json:
        print_json(found)
        return
    print_bundle(found)
    for left in found["left_out"]:
        print(f"left out: {plain(left['id'])} ({left['why'].replace('_', ' ')})")


def embed(data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """Compute the vectors that search by meaning needs, for what was published before it was in use."""
    asked, done, left = desk(data, key, person), 0, 1
    while left:
        said = asked.ask("search.embed")
        done, left = done + int(said["done"]), int(said["left"])
        if left and not json:
            print(f"{done} versions have their vectors, {left} are left", file=sys.stderr)
    if json:
        print_json({"done": done})
        return
    print(f"{done} versions got their vectors")


@bundle_app.command("verify")
def verify(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="Its id, bnd_….")],
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Check a bundle: its bytes against its id, its quotes against the library, and what changed since."""
    found = desk(data, key, person).ask("bundle.verify", bundle=bundle)
    wrong = [quote for quote in found["quotes"] if not quote["exact"]]
    if json:
        print_json(found)
    else:
        print_table(
            ("id", "quote", "standing"),
            [(one["id"], "exact" if one["exact"] else "WRONG", one["standing"]) for one in found["quotes"]],
        )
    if wrong:
        raise typer.Exit(1)


@bundle_app.command("show")
def show(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="Its id, bnd_….")],
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """A bundle, word for word as it was served."""
    shown = desk(data, key, person).ask("bundle.show", bundle=bundle)
    if json:
        print_json(shown)
        return
    print_bundle(shown)


def print_bundle(bundle: Printed) -> None:
    """A bundle for a person: what was needed, the quotes, and what contradicts what."""
    budget = bundle["budget"]
    print_pairs(
        [
            ("need", bundle["need"]),
            ("release", bundle["release"]),
            ("sufficiency", bundle["sufficiency"]),
            ("tokens", f"{budget['used']} of {budget['tokens']}"),
            (
                "retrieved with",
                ", ".join(f"{name}: {value}" for name, value in bundle["retrieved_with"].items()),
            ),
        ]
    )
    for item in bundle["items"]:
        where = " > ".join(dict.fromkeys([item["title"], *item["section"]]))
        print(f"\n{plain(item['id'])}  {plain(where)}")
        print(f"  “{plain(item['quote'])}”")
    for conflict in bundle["conflicts"]:
        print(f"\nConflict: {conflict_in_words(conflict)}")
    print()
