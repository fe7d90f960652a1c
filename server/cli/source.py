"""`bailiwick source`: bring texts in, hand them in for review, review them, publish them."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli.options import As, Data, Json, Key, Printed, desk
from server.cli.printing import paragraph, plain, print_json, print_pairs, print_table, tell

app = typer.Typer(help="Texts that evidence comes from.", no_args_is_help=True, rich_markup_mode=None)

Reason = Annotated[str, typer.Option(help="Why; it is written down.")]
Version = Annotated[
    str, typer.Argument(metavar="VERSION", help="Such as policy-14@3; policy-14 is its newest one.")
]


@app.command("add")
def add(
    places: Annotated[
        list[str], typer.Argument(metavar="PLACE...", help="Files, folders, and http(s) addresses.")
    ],
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
    """Bring documents in as drafts; prints the id of each version. Run it again to go on after a stop."""
    from server.cli.importing import bring_in, tell_all, wanted
    from server.errors import BadInput

    at = desk(data, key, person)
    documents = wanted(places, at.folder.root, allow_private=at.settings.fetch_private)
    how = {
        "owner": owner,
        "labels": sorted(set(label or ())),
        "collection": collection,
        "authority": "human" if authored else "imported",
    }
    if source_id is not None:
        if len(documents) > 1:
            raise BadInput("One id cannot name several files; add them one by one, or leave --id out.")
        results = iter([at.ask("source.add", id=source_id, **documents[0].get(), **how)])
    else:
        results = bring_in(at, documents, how)
    done = tell_all(results, len(documents), json=json)
    if json:
        print_json(done)
    refused = sum("refused" in result for result in done)
    if refused:
        tell(f"{refused} of {len(done)} were refused; the others are in.")
        raise typer.Exit(2)


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
    _tell_alike(shown["duplicates"])


@app.command("diff")
def diff(
    version: Version,
    before: Annotated[
        str | None, typer.Argument(metavar="[BEFORE]", help="Compared with; else the version before it.")
    ] = None,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """What changed between two versions, line by line."""
    found = desk(data, key, person).ask("source.diff", version=version, before=before)
    if json:
        print_json(found)
        return
    for line in found["lines"]:
        print(plain(line))
    _tell_alike(found["duplicates"])


@app.command("submit")
def submit(
    versions: Annotated[list[str], typer.Argument(metavar="VERSION...")],
    reason: Reason = "",
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Hand drafts in for review."""
    with desk(data, key, person).asking() as ask:
        moved = [ask("source.submit", {"version": version, "reason": reason}) for version in versions]
    _print_moved(moved, json=json)


@app.command("review")
def review(
    versions: Annotated[list[str], typer.Argument(metavar="VERSION...")],
    accept: Annotated[bool, typer.Option("--accept", help="They are right.")] = False,
    send_back: Annotated[
        bool, typer.Option("--send-back", help="Their authors have to change them.")
    ] = False,
    reason: Reason = "",
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Accept versions in review, or send them back. Nobody reviews what they brought in themselves."""
    from server.errors import BadInput

    if accept == send_back:
        raise BadInput("Say --accept or --send-back.")
    verdict = "accept" if accept else "send_back"
    with desk(data, key, person).asking() as ask:
        moved = [
            ask("source.review", {"version": version, "verdict": verdict, "reason": reason})
            for version in versions
        ]
    _print_moved(moved, json=json)


@app.command("publish")
def publish(
    versions: Annotated[
        list[str] | None, typer.Argument(metavar="[VERSION...]", help="Without any, all that were accepted.")
    ] = None,
    reason: Reason = "",
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Publish accepted versions as the next release; prints its number."""
    release = desk(data, key, person).ask("source.publish", versions=versions or [], reason=reason)
    _print_release(release, "added", json=json)


@app.command("retire")
def retire(
    source: Annotated[str, typer.Argument(metavar="SOURCE")],
    reason: Reason = "",
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Take a source out of force, by a release of its own; prints its number."""
    release = desk(data, key, person).ask("source.retire", source=source, reason=reason)
    _print_release(release, "retired", json=json)


@app.command("supersede")
def supersede(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="What goes out of force.")],
    successor: Annotated[
        str, typer.Argument(metavar="SUCCESSOR", help="The source in force that takes its place.")
    ],
    reason: Reason = "",
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Let another source take a source's place, by a release of its own; prints its number."""
    release = desk(data, key, person).ask(
        "source.supersede", source=source, successor=successor, reason=reason
    )
    _print_release(release, "superseded", json=json)


@app.command("impact")
def impact(
    version: Annotated[
        str, typer.Argument(metavar="ID", help="Such as policy-14@3, or a span: policy-14@3:120-188.")
    ],
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Which bundles, runs, approvals and executed writes rest on a version, or on a span of it."""
    found = desk(data, key, person).ask("source.impact", version=version)
    if json:
        print_json(found)
        return
    rows = [
        *(("bundle", name, "") for name in found["bundles"]),
        *(("run", name, "") for name in found["runs"]),
        *(("envelope", name, "") for name in found["envelopes"]),
        *(("approval", one["id"], one["state"]) for one in found["approvals"]),
        *(("execution", one["id"], one["state"]) for one in found["executions"]),
    ]
    print_table(("what", "id", "state"), rows)


def _print_release(release: Printed, what: str, *, json: bool) -> None:
    if json:
        print_json(release)
        return
    print(release["release"])
    tell(f"  release {release['release']}: {', '.join(release[what])}")


def _tell_alike(duplicates: list[Printed]) -> None:
    for other in duplicates:
        alike = "the same text as" if other["kind"] == "exact" else f"{other['share']:.0%} alike with"
        tell(f"{alike} {other['id']}")


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
