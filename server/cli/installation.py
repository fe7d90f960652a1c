"""`bailiwick init` and `bailiwick doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from server.cli.options import As, Data, Json, Key, data_path, desk, given, opened
from server.cli.printing import print_json, print_table, tell


def add_to(app: typer.Typer) -> None:
    """Put these commands among the commands."""
    app.command("init")(init)
    app.command("doctor")(doctor)
    app.command("backup")(backup)
    app.command("restore")(restore)


def init(
    admin: Annotated[
        str | None, typer.Option(help="The id of the first admin; else your login name.")
    ] = None,
    tenant: Annotated[
        str, typer.Option(help="Whose this is: the tenant that the first admin belongs to.")
    ] = "main",
    role: Annotated[
        list[str] | None, typer.Option(help="Their roles besides admin; curator and reviewer unless said.")
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="FILE", help="Where to put their private key; else in their config."),
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Make a data folder and its first admin, with sound defaults; prints the folder."""
    from policies.principals import Person
    from server.founding import found
    from server.settings import load_settings

    name = _login() if admin is None else admin
    roles = frozenset({"admin", *(role if role is not None else ("curator", "reviewer"))})
    made = found(
        data_path(data), Person(name, tenant, roles), key_file=key, ledger_url=load_settings().ledger_url
    )
    if json:
        print_json(
            {
                "folder": str(made.folder.root),
                "id": made.folder.id,
                "admin": name,
                "tenant": tenant,
                "roles": sorted(roles),
                "kid": made.kid,
                "public_key": made.public_key,
                "key_file": str(made.key_file),
            }
        )
        return
    here = given(data, key)
    print(made.folder.root)
    tell(
        "Made: a ledger, a key ring for the server, default policies, places for catalogue and workflows.\n"
        f"{name} is admin of tenant {tenant}; the private key is in {made.key_file}: keep a copy elsewhere.\n"
        f"Its public half {made.public_key} is the root that proofs lead back to: keep it where nobody "
        "here can change it.\n"
        f"Next: bailiwick upstream add NAME{here} -- COMMAND...   (the tools that you have)\n"
        f"      bailiwick agent add NAME{here}   (who may call)\n"
        f"      bailiwick serve{given(data)}"
    )


def _login() -> str:
    """The login name as an id, or `admin` where it cannot be one."""
    import getpass

    from policies.principals import is_valid_id

    try:
        name = getpass.getuser().lower()
    except (OSError, KeyError):
        return "admin"
    return name if is_valid_id(name) else "admin"


def doctor(data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """Look over the installation and say how to mend what is wrong. It changes nothing and needs no key."""
    from server.doctor import examine

    folder, settings = opened(data, key=key, person=person)
    findings = examine(folder, settings)
    if json:
        print_json([{"name": one.name, "right": one.right, "found": one.found} for one in findings])
    else:
        print_table(
            ("looked at", "", "found"),
            [(one.name, "ok" if one.right else "WRONG", one.found) for one in findings],
        )
    if not all(one.right for one in findings):
        raise typer.Exit(1)


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file.")],
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Write the data folder to one file, also while it is served; prints the file. It holds keys."""
    made = desk(data, key, person).ask("backup", path=str(file.absolute()))
    if json:
        print_json(made)
        return
    print(made["path"])
    tell(f"  {made['files']} files, {made['bytes']} bytes, as of {made['at']}; it holds the server's keys.")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `backup` wrote.")],
    data: Data = None,
    json: Json = False,
) -> None:
    """Make a data folder of a backup, at a place where nothing is; prints the folder. It starts frozen."""
    from server.backup import restore as restore_to

    made = restore_to(file, data_path(data))
    if json:
        print_json(made)
        return
    print(made["place"])
    tell(
        f"  The folder is as it was at {made['at']}, and frozen: approvals used since then would look"
        " unused.\n  See what was done since, then: bailiwick unfreeze"
    )
