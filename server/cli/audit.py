"""`bailiwick audit`: is the log whole, what is its head, and the log as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.options import As, Data, Json, Key, desk, opened
from server.cli.printing import print_json, print_pairs, tell

if TYPE_CHECKING:
    from server.auditing import Audit
    from server.proving import Checked

app = typer.Typer(help="The signed log.", no_args_is_help=True, rich_markup_mode=None)


@app.command("verify")
def verify(
    export: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]", help="An exported log or a proof; without one, the data folder's own log."
        ),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Public head keys that you trust: the first line of an older export."
        ),
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE|URL", help="Heads kept elsewhere, which the log must still hold."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Of the signatures on heads, check the newest one only.")
    ] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Prove that nothing in the log was changed, and that no effect lacks its approval; or check a proof. It
    needs no key of yours.
    """
    from server.auditing import audit_export, audit_folder
    from server.proving import check_proof, is_proof
    from server.settings import load_settings

    signatures = "newest" if quick else "every"
    if export is not None and is_proof(export):
        checked = check_proof(export, keys)
        print_json(checked.as_json()) if json else _print_proof(checked)
        if checked.fault is not None:
            raise typer.Exit(1)
        return
    if export is not None:
        witness_key = load_settings().witness_key
        audit = audit_export(export, keys, witness or (), witness_key, signatures)
    else:
        folder, settings = opened(data)
        audit = audit_folder(folder, settings, witness or (), signatures)
    if json:
        print_json(audit.as_json())
    else:
        _print_audit(audit)
    if audit.faults:
        raise typer.Exit(1)


def _print_audit(audit: Audit) -> None:
    print_pairs(
        [
            ("log", audit.origin),
            ("entries", audit.entries),
            ("signed heads", audit.heads),
            ("kept elsewhere", f"{audit.witnessed} of them"),
            ("keys", audit.keys),
            ("verdict", "whole" if not audit.faults else "not whole"),
        ]
    )
    for fault in audit.faults:
        tell(fault)


def _print_proof(checked: Checked) -> None:
    print_pairs(
        [
            ("log", checked.origin),
            ("keys", checked.keys),
            ("verdict", checked.proven or "proves nothing"),
        ]
    )
    if checked.fault is not None:
        tell(checked.fault)


@app.command("export")
def export(
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Where to write it; else stdout.")
    ] = None,
    ocsf: Annotated[
        bool, typer.Option("--ocsf", help="Each entry as an OCSF event too, for a SIEM; it still verifies.")
    ] = False,
    data: Data = None,
    key: Key = None,
    person: As = None,
) -> None:
    """The whole log as JSON Lines, which anybody can verify without the data folder."""
    from server.data_folder import write_private

    text = "".join(desk(data, key, person).ask("audit.export", ocsf=ocsf)["lines"])
    if to is None:
        print(text, end="")
        return
    write_private(to, text.encode())
    tell(f"Written to {to}; verify it anywhere with `bailiwick audit verify {to}`.")


@app.command("prove")
def prove(
    entry: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="The entry that is in the log.", min=1)
    ] = None,
    since: Annotated[
        int | None,
        typer.Option(metavar="SIZE", help="The size of an older head that the log extends.", min=1),
    ] = None,
    head_size: Annotated[
        int | None, typer.Option("--head", metavar="SIZE", help="The head to prove it by; else the newest.")
    ] = None,
    data: Data = None,
    key: Key = None,
    person: As = None,
) -> None:
    """A proof that an entry is in the log, or that the log only grew; `audit verify` checks it anywhere."""
    from server.errors import BadInput

    at = desk(data, key, person)
    if (entry is None) == (since is None):
        raise BadInput("Say what to prove: --entry NUMBER, or --since SIZE.")
    if entry is not None:
        print_json(at.ask("audit.prove_entry", seq=entry, head=head_size))
    else:
        print_json(at.ask("audit.prove_extension", old=since, head=head_size))


@app.command("head")
def head(data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """The newest signed head: keep it elsewhere, and the log can never be cut behind it unnoticed."""
    shown = desk(data, key, person).ask("audit.head")
    print_json(shown) if json else print(shown["note"], end="")
