"""`bailiwick audit`: is the log whole, what is its head, and the log as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.options import As, Data, Json, Key, desk, opened
from server.cli.printing import print_json, print_pairs, tell

if TYPE_CHECKING:
    from server.auditing import Audit

app = typer.Typer(help="The signed log.", no_args_is_help=True, rich_markup_mode=None)


@app.command("verify")
def verify(
    export: Annotated[
        Path | None,
        typer.Argument(metavar="[EXPORT]", help="An exported log; without it, the data folder's own."),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Public head keys that you trust: the first line of an older export."
        ),
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Prove that nothing in the log was changed, and that no effect lacks its approval. It needs no key of
    yours.
    """
    from server.auditing import audit_export, audit_folder

    if export is not None:
        audit = audit_export(export, keys)
    else:
        folder, settings = opened(data)
        audit = audit_folder(folder, settings)
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
            ("keys", audit.keys),
            ("verdict", "whole" if not audit.faults else "not whole"),
        ]
    )
    for fault in audit.faults:
        tell(fault)


@app.command("export")
def export(
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Where to write it; else stdout.")
    ] = None,
    data: Data = None,
    key: Key = None,
    person: As = None,
) -> None:
    """The whole log as JSON Lines, which anybody can verify without the data folder."""
    from server.data_folder import write_private

    text = "".join(desk(data, key, person).ask("audit.export")["lines"])
    if to is None:
        print(text, end="")
        return
    write_private(to, text.encode())
    tell(f"Written to {to}; verify it anywhere with `bailiwick audit verify {to}`.")


@app.command("head")
def head(data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """The newest signed head: keep it elsewhere, and the log can never be cut behind it unnoticed."""
    shown = desk(data, key, person).ask("audit.head")
    print_json(shown) if json else print(shown["note"], end="")
