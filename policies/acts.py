"""Acts that lower the gate: one admin proposes, another one signs, and only then are they done.

Two means two humans with two keys: names that are one human count once. Who has to be the second is decided
when the second signs, with everything read anew. While an installation never had a second admin there is
nobody to ask: it is single-handed, and every such act says so in the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, cast

from ledger.canonical import JsonObject, JsonValue, canonical, parse_strict
from ledger.clock import rfc3339
from ledger.entries import Entry
from ledger.ids import new_id
from ledger.transaction import AnyRow, Reading, Transaction
from policies.agreements import ACT_LIFETIME_MS, Agreement, act_digest, are_two
from policies.enrolments import may_enrol
from policies.errors import PolicyError
from policies.operations import SignedOperation, operation_as_json, operation_from_json
from policies.people import KeyHolder, holder_of_key, root_kid, signatory_of_key
from policies.tables import gate_acts

MAX_ARGS_BYTES: Final = 4 * 1024 * 1024


class ActRefused(PolicyError):
    """An act cannot be proposed, signed or withdrawn: the message says why."""


@dataclass(frozen=True, slots=True)
class Act:
    """A proposed act: the operation `op` with `args`, and how it would lower the gate."""

    id: str
    op: str
    args: JsonObject
    digest: str
    lowers: tuple[str, ...]
    tenant: str
    asked: SignedOperation
    """The operation as its proposer signed it."""

    proposed_ms: int
    expires_ms: int
    state: str
    signed_by: str | None

    @property
    def proposed_by(self) -> str:
        """Who proposed it."""
        return self.asked.person

    def state_at(self, now_ms: int) -> str:
        """The state, with `expired` for what waited too long."""
        return "expired" if self.state == "proposed" and now_ms >= self.expires_ms else self.state


def propose_act(
    tx: Transaction, op: str, args: JsonObject, lowers: Sequence[str], *, asked: SignedOperation
) -> Act:
    """Put an act before the other admins, as `asked` was signed; the same one once while it waits."""
    holder, kid = holder_of_key(tx, asked.kid), asked.kid
    if holder is None:
        raise ActRefused("Your key was revoked; nothing was proposed.")
    content = act_digest(op, args)
    for waiting in list_acts(tx):
        same = (waiting.digest, waiting.asked.kid) == (content, kid)
        if same and waiting.state_at(tx.now_ms) == "proposed":
            return waiting
    act = Act(
        id=new_id("act", tx.now_ms),
        op=op,
        args=args,
        digest=content,
        lowers=tuple(lowers),
        tenant=holder.person.tenant,
        asked=asked,
        proposed_ms=tx.now_ms,
        expires_ms=tx.now_ms + ACT_LIFETIME_MS,
        state="proposed",
        signed_by=None,
    )
    row = {
        "id": act.id,
        "op": op,
        "args": canonical(args).decode(),
        "digest": content,
        "lowers": canonical(_listed(lowers)).decode(),
        "tenant": act.tenant,
        "proposed_by": act.proposed_by,
        "proposed_kid": kid,
        "asked": canonical(operation_as_json(asked)).decode(),
        "proposed_ms": act.proposed_ms,
        "expires_ms": act.expires_ms,
        "state": act.state,
    }
    tx.execute(gate_acts.insert(), row)
    _log(tx, "act.proposed", act, act.proposed_by, kid=kid, lowers=_listed(lowers))
    return act


def sign_act(
    tx: Transaction, act_id: str, seen: str, *, agreed: SignedOperation
) -> tuple[Agreement, KeyHolder]:
    """Be the second to sign, as `agreed` was by somebody who saw an act of digest `seen`; gives what both
    signed, and who proposed it.

    It is signed once: whoever gets it back carries it out and says how that ended with `finish_act`.
    """
    act = find_act(tx, act_id)
    state = act.state_at(tx.now_ms)
    if state != "proposed":
        raise ActRefused(f"Act {act.id} is {state} and cannot be signed; it has to be proposed anew.")
    if act.digest != seen:
        raise ActRefused(f"Act {act.id} is not what you saw; look at it again with `bailiwick act show`.")
    holders = holder_of_key(tx, act.asked.kid), holder_of_key(tx, agreed.kid)
    first, second = (signatory_of_key(tx, one.kid) for one in (act.asked, agreed))
    if first is None or holders[0] is None or "admin" not in first.person.roles:
        raise ActRefused(f"{act.proposed_by} is no admin any more; another admin has to propose it anew.")
    root = root_kid(tx)
    may = second is not None and may_enrol(second.person, first.person, is_root=second.kid == root)
    if second is None or holders[1] is None or not may:
        raise ActRefused(f"It takes another admin of tenant {act.tenant} to sign {act.id}.")
    if not are_two(first, second, root):
        raise ActRefused(f"You proposed {act.id} yourself, by this name or another; it takes two people.")
    agreement = Agreement(act.id, act.op, act.args, act.asked, agreed, holders[1].enrolled_seq)
    if not agreement.is_of_two(first, second, root):
        raise ActRefused(f"What is kept of act {act.id} is not what was signed; it has to be proposed anew.")
    signed = (
        gate_acts.update()
        .where(gate_acts.c.id == act.id, gate_acts.c.state == "proposed")
        .values(state="signed", signed_by=second.person.id, signed_kid=second.kid)
    )
    tx.execute(signed)
    _log(tx, "act.signed", act, second.person.id, agreement=agreement.as_json())
    return agreement, holders[0]


def finish_act(tx: Transaction, act_id: str, *, by: str, why_not: str | None) -> None:
    """Say how a signed act ended: done, or why it could not be."""
    act = find_act(tx, act_id)
    state = "done" if why_not is None else "failed"
    _move(tx, act, "signed", state)
    _log(tx, f"act.{state}", act, by, **({} if why_not is None else {"why": why_not[:1_000]}))


def withdraw_act(tx: Transaction, act_id: str, *, by: str) -> Act:
    """Take a proposed act off the list. Any admin may: a no needs no second."""
    act = find_act(tx, act_id)
    if act.state_at(tx.now_ms) != "proposed":
        raise ActRefused(f"Act {act.id} is {act.state_at(tx.now_ms)}; there is nothing to withdraw.")
    _move(tx, act, "proposed", "withdrawn")
    _log(tx, "act.withdrawn", act, by)
    return act


def note_alone(tx: Transaction, op: str, lowers: Sequence[str], *, tenant: str, by: str) -> None:
    """Write down that one admin alone lowers the gate, because there never was a second one."""
    body: JsonObject = {"op": op, "lowers": _listed(lowers)}
    tx.append(Entry("act.alone", tenant, body, principal=by))


def find_act(reading: Reading, act_id: str) -> Act:
    """The act with this id."""
    row = reading.one(gate_acts.select().where(gate_acts.c.id == act_id))
    if row is None:
        raise ActRefused(f"There is no act {act_id[:64]}; `bailiwick act list` shows those there are.")
    return _act(row)


def list_acts(reading: Reading) -> Iterator[Act]:
    """Every act, newest first."""
    for row in reading.all(gate_acts.select().order_by(gate_acts.c.proposed_ms.desc(), gate_acts.c.id)):
        yield _act(row)


def act_as_json(act: Act, now_ms: int) -> JsonObject:
    """The form for listings."""
    return {
        "act": act.id,
        "operation": act.op,
        "lowers": _listed(act.lowers),
        "proposed_by": act.proposed_by,
        "proposed": rfc3339(act.proposed_ms),
        "expires": rfc3339(act.expires_ms),
        "state": act.state_at(now_ms),
        "signed_by": act.signed_by,
        "digest": act.digest,
    }


def _move(tx: Transaction, act: Act, before: str, after: str) -> None:
    moved = gate_acts.update().where(gate_acts.c.id == act.id, gate_acts.c.state == before)
    tx.execute(moved.values(state=after))


def _log(tx: Transaction, kind: str, act: Act, by: str, **more: JsonValue) -> None:
    body: JsonObject = {"act": act.id, "op": act.op, "digest": act.digest, **more}
    tx.append(Entry(kind, act.tenant, body, principal=by))


def _listed(texts: Sequence[str]) -> list[JsonValue]:
    return list[JsonValue](texts)


def _act(row: AnyRow) -> Act:
    return Act(
        row.id,
        row.op,
        cast("JsonObject", parse_strict(row.args, max_bytes=MAX_ARGS_BYTES)),
        row.digest,
        tuple(cast("list[str]", parse_strict(row.lowers))),
        row.tenant,
        _asked(row.asked),
        row.proposed_ms,
        row.expires_ms,
        row.state,
        row.signed_by,
    )


def _asked(text: str) -> SignedOperation:
    asked = operation_from_json(cast("JsonObject", parse_strict(text)))
    if asked is None:
        raise ActRefused("What is kept of an act is no signed operation; run `bailiwick audit verify`.")
    return asked
