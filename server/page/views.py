"""What the pages show: looked up in the ledger as the person who is signed in, put into templates.

The sheet of a request is the terminal's own (`server.approval_sheet`); nothing about a request is worded
here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ledger.canonical import JsonObject, JsonValue, canonical
from ledger.entries import Entry
from server.approval_sheet import Values, groups_of, sheet_of
from server.errors import BadInput
from server.operations.approvals import ListApprovals, OneApproval
from server.operations.operation import OperationDesk
from server.operations.registry import OPERATIONS
from server.page.sessions import Session
from server.shown_text import plain

_HERE: Final = Path(__file__).parent
MOST_TOGETHER: Final = 50
"""How many calls are judged on one page at most."""

STATIC: Final[Mapping[str, str]] = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""The files that the pages load, and what they are."""


@cache
def static(name: str) -> bytes:
    """One of those files."""
    return (_HERE / "static" / name).read_bytes()


@cache
def _templates() -> Environment:
    place = FileSystemLoader(_HERE / "templates")
    known = Environment(loader=place, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    known.filters["plain"] = plain
    known.tests["values"] = _are_values
    return known


def _are_values(value: Any) -> bool:
    return isinstance(value, Values)


def render(template: str, **facts: Any) -> str:
    """A page."""
    return _templates().get_template(template).render(**facts)


def waiting(desk: OperationDesk, session: Session) -> str:
    """The list of what waits; blocks."""
    listed: Any = OPERATIONS["approval.list"].run(desk, session.person, ListApprovals())
    groups = [
        (group, [one["request"] for one in group if one["state"] == "pending"][:MOST_TOGETHER])
        for group in groups_of(listed["approvals"])
    ]
    return render("waiting.html", session=session, groups=groups)


def judged(desk: OperationDesk, session: Session, requests: Sequence[str], *, whole: bool) -> str:
    """One request in full, or several calls on one page; blocks. That they were shown is written down."""
    if len(requests) > MOST_TOGETHER:
        raise BadInput(f"At most {MOST_TOGETHER} requests are judged on one page; name fewer.")
    show = OPERATIONS["approval.show"].run
    pages: list[Any] = [show(desk, session.person, OneApproval(request=one)) for one in requests]
    told: JsonObject = {"requests": list[JsonValue](requests), "kid": session.kid}
    entry = Entry("page.shown", session.person.tenant, told, principal=session.person.id)
    desk.ledger.transact_now(lambda tx: tx.append(entry))
    sheets = [(sheet_of(shown), canonical(shown["call"]).decode()) for shown in pages]
    one = len(sheets) == 1
    return render("judge.html", session=session, sheets=sheets, one=one, whole=whole)
