"""Signing in to the approval page: an operation like any other, over a challenge of this server.

The signature names the page's origin, the log behind it and the challenge that this very browser was given,
so it is worth nothing at another server, under another name or in another browser; and like every operation
it is good for half a minute, once.
"""

from __future__ import annotations

from pydantic import Field

from ledger.canonical import JsonObject
from policies.operations import SignedOperation
from policies.principals import Person
from server.errors import RuleRefused
from server.operations.admission import admit
from server.operations.operation import Arguments, Operation, OperationDesk
from server.page.sessions import challenge_of, start_session


class SignIn(Arguments):
    """What is signed: `origin` as the browser sees it, `server` is the log's name."""

    origin: str = Field(max_length=300)
    server: str = Field(max_length=200)
    challenge: str = Field(max_length=64)


def _not_by_itself(_desk: OperationDesk, _person: Person, _given: SignIn) -> JsonObject:
    raise RuleRefused("Signing in happens on the approval page.")


SIGN_IN = Operation("page.sign_in", SignIn, "person", _not_by_itself)
"""It stands in no registry: the loopback interface knows no sessions."""


def sign_in(
    desk: OperationDesk, args: JsonObject, signed: SignedOperation, *, origin: str, secret: str | None
) -> str:
    """The secret of a new session, for the browser that holds the challenge's `secret`; blocks."""
    if secret is None or args.get("challenge") != challenge_of(secret):
        raise RuleRefused("This page is too old, or was opened in another browser; load it anew.")
    if args.get("origin") != origin or args.get("server") != desk.ledger.origin:
        raise RuleRefused("This was signed for another page than this one; load it anew.")
    person, _ = admit(desk, SIGN_IN, args, signed)
    return start_session(desk.ledger, person, signed.kid)
