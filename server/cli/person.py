"""`bailiwick person`: who may judge, curate and administer."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli.options import As, Data, Json, Key, desk
from server.cli.printing import print_json, print_table, tell

app = typer.Typer(help="People and what they may do.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME")]


@app.command("add")
def add(
    name: Name,
    public_key: Annotated[
        str, typer.Option(help="The public half of their key, as `bailiwick key new` prints it.")
    ],
    role: Annotated[list[str], typer.Option(help="reviewer, curator or admin; repeat for more.")],
    alias: Annotated[
        list[str] | None, typer.Option(help="Another name that is the same human; repeat for more.")
    ] = None,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Enrol a person and their key under your signature; again for another key or other roles."""
    from policies.enrolments import sign_enrolment
    from policies.principals import Person
    from server.personal_keys import personal_key

    at = desk(data, key, person)
    tenant = at.ask("person.self")["tenant"]
    enrolled = Person(name, tenant, frozenset(role), frozenset(alias or ()))
    signed = sign_enrolment(personal_key(at.folder, at.settings), enrolled, public_key)
    result = at.ask(
        "person.add",
        person=name,
        roles=sorted(enrolled.roles),
        aliases=sorted(enrolled.aliases),
        public_key=public_key,
        signed_by=signed.signed_by,
        signature=signed.signature,
    )
    if json:
        print_json(result)
        return
    print(result["person"])
    tell(f"  enrolled as {', '.join(result['roles'])}")


@app.command("list")
def list_(data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """Everybody, with their roles."""
    people = desk(data, key, person).ask("person.list")["people"]
    if json:
        print_json(people)
        return
    print_table(
        ("person", "roles", "aliases", "keys", "revoked"),
        [
            (
                one["person"],
                ", ".join(one["roles"]),
                ", ".join(one["aliases"]),
                sum(held["revoked"] is None for held in one["keys"]),
                one["revoked"],
            )
            for one in people
        ],
    )


@app.command("revoke")
def revoke(name: Name, data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """End a person's part: their keys sign nothing any more, and their approvals that were not used yet
    fall.
    """
    result = desk(data, key, person).ask("person.revoke", person=name)
    print_json(result) if json else print(result["person"])
