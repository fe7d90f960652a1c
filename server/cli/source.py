"""`bailiwick source`: bring texts in, hand them in for review, review them, publish them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from server.cli.options import As, Data, Json, Key, Printed, desk
from server.cli.printing import paragraph, print_json, print_pairs, print_table, tell

app = typer.Typer(help="Texts that evidence comes from.", no_args_is_help=True, rich_markup_mode=None)

Version = Annotated[
    str, typer.Argument(metavar="VERSION", help="Such as policy-14@3; policy-14 is its newest one.")
]


@app.command("add")
def add(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Markdown or plain text.")],
    source_id: Annotated[
        str | None,
        typer.Option("--id", help="The source's id; else front matter or the file's name gives it."),
    ] = None,
    owner: Annotated[str | None, typer.Option(help="Who owns it; else front matter, or you.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="An access label; repeat for more.")] = None,
    collection: Annotated[str | None, typer.Option(help="The collection that it belongs to.")] = None,
    authored: Annotated[bool, typer.Option("--authored", help="You wrote this text yourself.")] = False,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Bring files in as drafts; prints the id of each version."""
    import base64

    from context_store.extract import read_file
    from server.errors import BadInput

    if source_id is not None and len(files) > 1:
        raise BadInput("One id cannot name several files; add them one by one, or leave --id out.")
    contents = [(path, read_file(path)) for path in files]
    at = desk(data, key, person)
    done: list[Printed] = []
    for path, raw in contents:
        result = at.ask(
            "source.add",
            name=path.name,
            origin=path.absolute().as_uri(),
            content=base64.b64encode(raw).decode(),
            id=source_id,
            owner=owner,
            labels=sorted(set(label or ())),
            collection=collection,
            authority="human" if authored else "imported",
        )
        done.append(result)
        if not json:
            print(result["id"])
            tell(_added(result))
    if json:
        print_json(done)


def _added(result: Printed) -> str:
    words = {"new": "new", "changed": "a new version", "unchanged": "unchanged; nothing was written"}
    text = f"  {result['title']}: {words[result['outcome']]}, {result['passages']} passages"
    if result["ignored"]:
        text += f"; its front matter also says {', '.join(result['ignored'])}, which means nothing here"
    return text


@app.command("list")
def list_(data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """Every source and where its versions stand."""
    sources = desk(data, key, person).ask("source.list")["sources"]
    if json:
        print_json(sources)
        return
    rows = [
        (
            version["id"],
            _standing(version),
            source["title"],
            source["collection"],
            ", ".join(source["labels"]),
        )
        for source in sources
        for version in source["versions"]
    ]
    print_table(("version", "status", "title", "collection", "labels"), rows)


@app.command("show")
def show(version: Version, data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """One version: what it declares, and its text."""
    shown = desk(data, key, person).ask("source.show", version=version)
    if json:
        print_json(shown)
        return
    names = (
        "id",
        "title",
        "owner",
        "origin",
        "author",
        "authority",
        "collection",
        "valid_from",
        "valid_until",
    )
    print_pairs(
        [
            *((name.replace("_", " "), shown[name]) for name in names if shown[name] is not None),
            ("status", _standing(shown)),
            ("labels", ", ".join(shown["labels"])),
            *(("fact", fact) for fact in shown["facts"]),
        ]
    )
    print()
    print(paragraph(shown["text"]))


@app.command("submit")
def submit(
    versions: Annotated[list[str], typer.Argument(metavar="VERSION...")],
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Hand drafts in for review."""
    at = desk(data, key, person)
    _print_moved([at.ask("source.submit", version=version) for version in versions], json=json)


@app.command("review")
def review(
    versions: Annotated[list[str], typer.Argument(metavar="VERSION...")],
    accept: Annotated[bool, typer.Option("--accept", help="They are right.")] = False,
    send_back: Annotated[
        bool, typer.Option("--send-back", help="Their authors have to change them.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Accept versions in review, or send them back. Nobody reviews what they brought in themselves."""
    from server.errors import BadInput

    if accept == send_back:
        raise BadInput("Say --accept or --send-back.")
    at, verdict = desk(data, key, person), "accept" if accept else "send_back"
    _print_moved(
        [at.ask("source.review", version=version, verdict=verdict, reason=reason) for version in versions],
        json=json,
    )


@app.command("publish")
def publish(
    versions: Annotated[
        list[str] | None, typer.Argument(metavar="[VERSION...]", help="Without any, all that were accepted.")
    ] = None,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Publish accepted versions as the next release; prints its number."""
    release = desk(data, key, person).ask("source.publish", versions=versions or [])
    if json:
        print_json(release)
        return
    print(release["release"])
    tell(f"  release {release['release']}: {', '.join(release['added'])}")


def _standing(version: Printed) -> str:
    status = version["status"].replace("_", " ")
    if version["status"] == "in_review" and version["reviewed_by"]:
        return f"accepted by {version['reviewed_by']}"
    if version["status"] == "published":
        return f"published in {version['published_in']}"
    return f"{status} in {version['withdrawn_in']}" if version["withdrawn_in"] else status


def _print_moved(results: list[Printed], *, json: bool) -> None:
    if json:
        print_json(results)
        return
    for result in results:
        print(result["id"])
        tell(f"  {_standing(result)}")
