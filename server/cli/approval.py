"""`bailiwick approval`: judge what agents ask for. Your signature is over the exact call that you were
shown.
"""

from __future__ import annotations

import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from server.approval_sheet import by_run_and_tool, groups_of
from server.cli.options import As, Data, Desk, Json, Key, Printed, desk
from server.cli.printing import plain, print_json, print_table, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

app = typer.Typer(help="Writes that wait for a human.", no_args_is_help=True, rich_markup_mode=None)

Request = Annotated[str, typer.Argument(metavar="REQUEST", help="Its id, req_….")]
Requests = Annotated[list[str], typer.Argument(metavar="REQUEST...", help="One id or several, req_….")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask again at a terminal.")]

POLL_S = 2.0
"""How often `watch` looks, in seconds."""


@app.command("list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """The requests that can be judged, by run and tool, oldest first."""
    at = desk(data, key, person)
    approvals = at.ask("approval.list", all=everything)["approvals"]
    if json:
        print_json(approvals)
        return
    names = ("request", "state", "tool", "target", "agent", "signed", "expires", "run")
    rows = [{**one, "signed": f"{one['signed']} of {one['needed']}"} for one in by_run_and_tool(approvals)]
    print_table(names, [tuple(one[name] for name in names) for one in rows])
    for group in groups_of(approvals):
        ids = [one["request"] for one in group if one["state"] == "pending"]
        if len(ids) > 1:
            tell(
                f"{len(ids)} requests for {plain(group[0]['tool'])} in one run; on one page:\n"
                f"  bailiwick approval approve {' '.join(ids)}{at.given}"
            )


@app.command("show")
def show(
    request: Request,
    full: Annotated[bool, typer.Option("--full", help="Cut nothing that it was shown.")] = False,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Everything that you need to judge a request: the call, what it rests on, and what happened before."""
    from server.cli.approval_page import print_request

    at = desk(data, key, person)
    shown = at.ask("approval.show", request=request)
    print_json(shown) if json else print_request(shown, at.given, whole=full)


@app.command("approve")
def approve(
    requests: Requests,
    yes: Yes = False,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Sign that these very calls may be made, once each. Several are shown on one page, and each is signed
    by itself.
    """
    _judge_all(desk(data, key, person), requests, "approve", yes=yes, json=json)


@app.command("deny")
def deny(
    requests: Requests,
    yes: Yes = False,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Sign that these calls may not be made. A denial wins over any approval."""
    _judge_all(desk(data, key, person), requests, "deny", yes=yes, json=json)


@app.command("revoke")
def revoke(
    request: Request,
    note: Annotated[str, typer.Option(help="Why; it is written down.")] = "",
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Take an approval back, or a request that waits. What was done with it stays done, and the log says
    late.
    """
    result = desk(data, key, person).ask("approval.revoke", request=request, note=note)
    if json:
        print_json(result)
        return
    print(result["request"])
    late = f"too late: it was spent on {result['execution']}, which is {result['state']}"
    tell(f"  {late if result['late'] else 'taken back'}")


@app.command("erase")
def erase(
    request: Request, data: Data = None, key: Key = None, person: As = None, json: Json = False
) -> None:
    """Make the sealed arguments of a request unreadable for ever. What was proven stays proven."""
    result = desk(data, key, person).ask("approval.erase", request=request)
    if json:
        print_json(result)
        return
    print(result["request"])
    tell(f"  sealed values erased: {result['erased']}")


@app.command("export")
def export(
    request: Request,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Where to write it; else stdout.")
    ] = None,
    data: Data = None,
    key: Key = None,
    person: As = None,
) -> None:
    """An approval as a signed proof (a compact JWS) that can be verified without the server. It opens
    nothing.
    """
    from server.data_folder import write_private

    text = desk(data, key, person).ask("approval.export", request=request)["approval"]
    if to is None:
        print(text)
        return
    write_private(to, f"{text}\n".encode())
    tell(f"Written to {to}; verify it anywhere with `bailiwick approval verify {to} --root KEY`.")


@app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An exported approval.")],
    root: Annotated[
        str,
        typer.Option(metavar="KEY", help="The public key of the first admin: `bailiwick key list` shows it."),
    ],
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="As of then, such as 2026-11-22T23:45:00Z; else now.")
    ] = None,
    json: Json = False,
) -> None:
    """Prove offline that people approved exactly this call. It needs no data folder and no key of yours."""
    from server.cli.approval_proof import verify_file

    verify_file(file, root, at, json=json)


@app.command("watch")
def watch(data: Data = None, key: Key = None, person: As = None) -> None:
    """Wait for requests and show each as it comes; on a terminal, judge it there. Ctrl-C ends it."""
    watch_requests(desk(data, key, person), time.sleep)


def watch_requests(at: Desk, pause: Callable[[float], None]) -> None:
    """Show every request that waits and was not shown before, and look again after each `pause`."""
    from server.cli.approval_page import print_request

    seen: set[str] = set()
    tell("Waiting for requests; Ctrl-C ends it.")
    while True:
        for one in by_run_and_tool(at.ask("approval.list")["approvals"]):
            if one["request"] in seen or one["state"] != "pending":
                continue
            seen.add(one["request"])
            shown = at.ask("approval.show", request=one["request"])
            print_request(shown, at.given)
            if _at_a_terminal() and shown["you_cannot"] is None:
                _ask_at_the_terminal(at, shown)
            sys.stdout.flush()
        pause(POLL_S)


def _at_a_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _ask_at_the_terminal(at: Desk, shown: Printed) -> None:
    from server.errors import failure_of

    answer = input("Approve this very call? y = approve, n = deny, anything else = later: ").strip().lower()
    if answer not in ("y", "n"):
        tell("Left as it is.")
        return
    try:
        _sign(at, shown, "approve" if answer == "y" else "deny", json=False)
    except Exception as error:  # noqa: BLE001 - one request that cannot be judged must not end the watch
        tell(f"bailiwick: {failure_of(error).sentence}")


def _judge_all(
    at: Desk, requests: Sequence[str], choice: Literal["approve", "deny"], *, yes: bool, json: bool
) -> None:
    """Show every call, then sign each. Nothing is signed unless all of them can be shown as they are."""
    from server.cli.approval_page import print_calls
    from server.errors import failure_of

    pages = [at.ask("approval.show", request=request) for request in dict.fromkeys(requests)]
    for shown in pages:
        _check_digest(shown)
    if not json:
        with redirect_stdout(sys.stderr):  # stdout holds the ids of what was signed, and nothing else
            print_calls(pages)
    if len(pages) > 1 and not yes and not json and _at_a_terminal():
        answer = input(f"{choice.capitalize()} these {len(pages)} calls, each once? y/n: ").strip().lower()
        if answer != "y":
            tell("Nothing was signed.")
            raise typer.Exit(1)
    worst, results = 0, list[Printed]()
    for shown in pages:
        try:
            results.append(_sign(at, shown, choice, json=json))
        except Exception as error:
            if len(pages) == 1:
                raise
            failure = failure_of(error)
            tell(f"bailiwick: {shown['request']}: {failure.sentence}")
            worst = max(worst, failure.exit_code)
    if json:
        print_json(results[0] if len(pages) == 1 else results)
    if worst:
        raise typer.Exit(worst)


def _check_digest(shown: Printed) -> None:
    """A signature is over the digest of the call as this process computed it from what was shown."""
    from policies.call import CanonicalCall
    from server.errors import RuleRefused

    if CanonicalCall.from_json(shown["call"]).digest() != shown["digest"]:
        raise RuleRefused(
            f"The digest of {shown['request']} is not that of the call it shows; nothing was signed. Tell an "
            "admin."
        )


def _sign(at: Desk, shown: Printed, choice: Literal["approve", "deny"], *, json: bool) -> Printed:
    from ledger.clock import system_now_ms
    from policies.verdicts import sign_verdict
    from server.approval_sheet import verdict_in_words
    from server.personal_keys import personal_key

    _check_digest(shown)
    signed = sign_verdict(personal_key(at.folder, at.settings), shown["digest"], choice, at=system_now_ms())
    result = at.ask(
        "approval.judge",
        request=shown["request"],
        verdict=choice,
        at=signed.verdict.at,
        kid=signed.kid,
        signature=signed.signature,
    )
    if not json:
        print(result["request"])
        tell(f"  {verdict_in_words(result)}")
    return result
