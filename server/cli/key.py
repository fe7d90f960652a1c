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
    replace: Annotated[
        bool, typer.Option("--replace", help="Put the key that you have aside, and make a new one.")
    ] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Make a personal key outside the data folder; prints its public half, for an admin to enrol."""
    from policies.key_files import put_aside, write_key_file
    from policies.principals import require_id
    from policies.signing import new_personal_key
    from server.personal_keys import key_path

    require_id(person, "a person")
    folder, _ = opened(data)
    place = key_path(folder.id, person) if to is None else to.expanduser().absolute()
    made = new_personal_key(person)
    aside = put_aside(place, data_folder=folder.root) if replace else None
    write_key_file(place, made, data_folder=folder.root)
    if json:
        print_json({"person": person, "kid": made.kid, "public_key": made.public_key, "file": str(place)})
        return
    print(made.public_key)
    if aside is not None:
        tell(
            f"Your new key is in {place}; the one before is in {aside}. Act with --key {aside} "
            f"until an admin has run this:\n  bailiwick key replace {person} --public-key={made.public_key}"
        )
        return
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


@app.command("replace")
def replace(
    name: Annotated[str, typer.Argument(metavar="PERSON")],
    public_key: Annotated[
        str,
        typer.Option(help="The public half of their new key, as `bailiwick key new --replace` prints it."),
    ],
    keep: Annotated[bool, typer.Option("--keep", help="Leave their older keys in force.")] = False,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Enrol a new key for a person under your signature, and end their older ones; also for a key that was
    lost.
    """
    from policies.enrolments import sign_enrolment
    from policies.principals import Person
    from server.errors import BadInput
    from server.personal_keys import personal_key

    at = desk(data, key, person)
    known = {one["person"]: one for one in at.ask("person.list")["people"] if one["revoked"] is None}
    if name not in known:
        raise BadInput(f"There is no person {name}; `bailiwick person list` shows those that there are.")
    one = known[name]
    same = Person(name, one["tenant"], frozenset(one["roles"]), frozenset(one["aliases"]))
    signed = sign_enrolment(personal_key(at.folder, at.settings), same, public_key)
    result = at.ask(
        "key.replace",
        person=name,
        roles=sorted(same.roles),
        aliases=sorted(same.aliases),
        public_key=public_key,
        signed_by=signed.signed_by,
        signature=signed.signature,
        keep=keep,
    )
    if json:
        print_json(result)
        return
    print(result["kid"])
    tell(f"  enrolled for {name}; out of force: {', '.join(result['fallen']) or 'none'}")


@app.command("vouch")
def vouch(data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """Sign that the server's newest export key is this server's, so that exported approvals can be
    verified.
    """
    from policies.server_keys import ServerKey, sign_server_key
    from server.personal_keys import personal_key

    at = desk(data, key, person)
    shown = at.ask("key.server")
    server_key = ServerKey(shown["origin"], shown["purpose"], shown["public_key"])
    voucher = sign_server_key(personal_key(at.folder, at.settings), server_key)
    result = at.ask(
        "key.vouch",
        public_key=server_key.public_key,
        signed_by=voucher.signed_by,
        signature=voucher.signature,
    )
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
        Literal["head", "export", "approval-token", "sealing"],
        typer.Argument(help="What the new key is for."),
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
