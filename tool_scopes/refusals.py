"""A refusal is a value that stands in the ledger before it leaves, or is on its way there where the setting
`records` says so.

Operations of this floor answer `Answer` or `Refused`, never a bare `Denial`: the type says that the record
was made. The agent reads the code's fixed message; the reason in full goes to the ledger and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.canonical import JsonObject
from ledger.entries import Entry
from policies.codes import Denial
from tool_scopes.house import Caller, House

_LONGEST_ACT = 128  # code points of a tool's name, as a caller may have made it up


@dataclass(frozen=True, slots=True)
class Refused:
    """A denial whose record is made."""

    denial: Denial


def refusal_entry(
    caller: Caller, run: str | None, act: str, denial: Denial, arguments_digest: str | None = None
) -> Entry:
    """The ledger entry of one refusal. Arguments appear as a digest and the act is cut short: both may be
    anything.
    """
    body: JsonObject = {"act": act[:_LONGEST_ACT], "code": denial.code, "reason": denial.reason}
    if arguments_digest is not None:
        body["arguments"] = arguments_digest
    return Entry(
        kind="call.refused", tenant=caller.agent.tenant, principal=caller.agent.id, run=run, body=body
    )


async def refuse(
    house: House,
    caller: Caller,
    run: str | None,
    act: str,
    denial: Denial,
    arguments_digest: str | None = None,
) -> Refused:
    """Record a denial of `act` (a tool's or an operation's name) and give it back as refused."""
    await house.ledger.record(refusal_entry(caller, run, act, denial, arguments_digest))
    return Refused(denial)
