"""`bailiwick key`: keys of people, whose private half never leaves their own files; and the server's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from server.cli.options import As, Data, Json, Key, desk, opened
from server.cli.printing import print_json, print_table, tell

app = typer.Typer(help="Keys of people, and the server's own.", no_args_is_help=True, rich_markup_mode=None)


@app.command("new")
def new(
    person: Annotated[str, typer.Argument(metavar="PERSON", help="Your id, as an admin will enrol it.")],
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FILE", help="Where to keep it; else in your configuration."),
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Make a personal key outside the data folder; prints its public half, for an admin to enrol."""
    from policies.key_files import write_key_file
    from policies.principals import require_id
    from policies.signing import new_personal_key
    from server.personal_keys import key_path

    require_id(person, "a person")
    folder, _ = opened(data)
    place = key_path(folder.id, person) if to is None else to.expanduser().absolute()
    made = new_personal_key(person)
    write_key_file(place, made, data_folder=folder.root)
    if json:
        print_json({"person": person, "kid": made.kid, "public_key": made.public_key, "file": str(place)})
        return
    print(made.public_key)
    tell(
        f"Your key is in {place}; keep it to yourself. An admin enrols it with:\n"
        f"  bailiwick person add {person} --role reviewer --public-key={made.public_key}"
    )


@app.command("list")
def list_(data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """Every enrolled key, and whose it is."""
    people = desk(data, key, person).ask("person.list")["people"]
    keys = [{"person": one["person"], **held} for one in people for held in one["keys"]]
    if json:
        print_json(keys)
        return
    names = ("kid", "person", "enrolled", "revoked", "public_key")
    print_table(
        ("key", "person", "enrolled", "revoked", "public half"),
        [tuple(one[name] for name in names) for one in keys],
    )


@app.command("revoke")
def revoke(
    kid: Annotated[str, typer.Argument(metavar="KEY", help="Its id, as `key list` shows it.")],
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Take one key out of force for ever; the person's other keys stay."""
    result = desk(data, key, person).ask("key.revoke", kid=kid)
    print_json(result) if json else print(result["kid"])


@app.command("ring")
def ring(data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """The server's own keys: what each is for, how it stands, and what verifies what it signs."""
    keys = desk(data, key, person).ask("key.ring")["keys"]
    if json:
        print_json(keys)
        return
    names = ("kid", "purpose", "state", "public_key")
    print_table(
        ("key", "purpose", "state", "public half"), [tuple(one[name] for name in names) for one in keys]
    )


@app.command("rotate")
def rotate(
    purpose: Annotated[
        Literal["head", "export", "approval-token"], typer.Argument(help="What the new key is for.")
    ],
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Let a new key of the server take over; the older ones stay good until they are retired."""
    made = desk(data, key, person).ask("key.rotate", purpose=purpose)
    if json:
        print_json(made)
        return
    print(made["kid"])
    if made["public_key"]:
        tell(f"Whoever verifies without the log needs its public half:\n  {made['public_key']}")


@app.command("retire")
def retire(
    kid: Annotated[str, typer.Argument(metavar="KEY", help="Its id, as `key ring` shows it.")],
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Destroy the private half of an older key of the server; what it signed stays verifiable."""
    result = desk(data, key, person).ask("key.retire", kid=kid)
    print_json(result) if json else print(result["kid"])
