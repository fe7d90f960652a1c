"""`bailiwick approval`: judge what agents ask for. Your signature is over the exact call that you were
shown.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from server.cli.options import As, Data, Desk, Json, Key, Printed, desk
from server.cli.printing import plain, print_json, print_table, tell

if TYPE_CHECKING:
    from collections.abc import Callable

app = typer.Typer(help="Writes that wait for a human.", no_args_is_help=True, rich_markup_mode=None)

Request = Annotated[str, typer.Argument(metavar="REQUEST", help="Its id, req_….")]

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
    """The requests that can be judged, oldest first."""
    approvals = desk(data, key, person).ask("approval.list", all=everything)["approvals"]
    if json:
        print_json(approvals)
        return
    names = ("request", "state", "tool", "target", "agent", "expires")
    print_table(names, [tuple(one[name] for name in names) for one in approvals])


@app.command("show")
def show(request: Request, data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """Everything that you need to judge a request: the call, what it rests on, and what happened before."""
    from server.cli.approval_page import print_request

    shown = desk(data, key, person).ask("approval.show", request=request)
    print_json(shown) if json else print_request(shown)


@app.command("approve")
def approve(
    request: Request, data: Data = None, key: Key = None, person: As = None, json: Json = False
) -> None:
    """Sign that this very call may be made, once."""
    _judge(desk(data, key, person), request, "approve", json=json)


@app.command("deny")
def deny(request: Request, data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """Sign that this call may not be made. A denial wins over any approval."""
    _judge(desk(data, key, person), request, "deny", json=json)


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
        for one in at.ask("approval.list")["approvals"]:
            if one["request"] in seen or one["state"] != "pending":
                continue
            seen.add(one["request"])
            print_request(at.ask("approval.show", request=one["request"]))
            if sys.stdin.isatty() and sys.stdout.isatty():
                _ask_at_the_terminal(at, one["request"])
            sys.stdout.flush()
        pause(POLL_S)


def _ask_at_the_terminal(at: Desk, request: str) -> None:
    from server.errors import failure_of

    answer = input("Approve this very call? y = approve, n = deny, anything else = later: ").strip().lower()
    if answer not in ("y", "n"):
        tell("Left as it is.")
        return
    try:
        _judge(at, request, "approve" if answer == "y" else "deny", json=False)
    except Exception as error:  # noqa: BLE001 - one request that cannot be judged must not end the watch
        tell(f"bailiwick: {failure_of(error).sentence}")


def _judge(at: Desk, request: str, choice: Literal["approve", "deny"], *, json: bool) -> None:
    """Sign a verdict over the digest of the call as this process computed it from what was shown."""
    from json import dumps

    from ledger.clock import system_now_ms
    from policies.verdicts import sign_verdict
    from server.errors import RuleRefused
    from server.personal_keys import personal_key

    shown = at.ask("approval.show", request=request)
    digest = _digest_of(shown)
    if digest != shown["digest"]:
        raise RuleRefused(
            f"The digest of {request} is not that of the call it shows; nothing was signed. Tell an admin."
        )
    if not json:
        arguments = dumps(shown["call"]["arguments"], ensure_ascii=False)
        tell(f"  {plain(shown['tool'])} on {plain(shown['target'])}: {plain(arguments)}")
    signed = sign_verdict(personal_key(at.folder, at.settings), digest, choice, at=system_now_ms())
    result = at.ask(
        "approval.judge",
        request=request,
        verdict=choice,
        at=signed.verdict.at,
        kid=signed.kid,
        signature=signed.signature,
    )
    if json:
        print_json(result)
        return
    print(result["request"])
    tell(f"  {_told(result)}")


def _digest_of(shown: Printed) -> str:
    from policies.call import CanonicalCall

    return CanonicalCall.from_json(shown["call"]).digest()


def _told(result: Printed) -> str:
    if result["state"] == "approved":
        return "approved: the agent can make this very call now, once"
    if result["verdict"] == "deny":
        return "denied"
    return f"your approval counts; the request is {result['state']}, so somebody else has to sign too"
