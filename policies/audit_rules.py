"""Completeness of a log: no effect without its approval, no redemption without its outcome, nothing
considered unseen.

Pure, and it trusts no table: it replays the entries of a log whose integrity was verified before
(ledger/verify.py), learns from them who was enrolled with which key and role, and judges every execution as
the gate had to. So an auditor needs the exported log and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from ledger.canonical import CanonicalError, JsonObject, JsonValue
from ledger.entries import StoredEntry
from policies.audit_people import PEOPLE_TOLD_BY, People
from policies.call import CanonicalCall
from policies.errors import PolicyError
from policies.redemption import CastVerdict, RedemptionFacts, judge
from policies.settlements import settlement_from_json
from policies.verdicts import SignedVerdict, Verdict

BUNDLE_PREFIX: Final = "bnd_"

_TAKEN: Final = frozenset(
    {
        "bundle.served",
        "approval.requested",
        "approval.judged",
        "approval.revoked",
        "execution.begun",
        "execution.settled",
    }
)


def check_complete(entries: Iterable[StoredEntry]) -> Iterator[str]:
    """Every fault, as a sentence that names its entry, in the order of the log."""
    replay = Replay()
    for entry in entries:
        yield from replay.take(entry)
    yield from replay.unfinished()


@dataclass(slots=True)
class _Request:
    """A request as the log tells of it so far."""

    seq: int
    owner: str
    call: CanonicalCall
    casts: list[SignedVerdict] = field(default_factory=list[SignedVerdict])
    revoked: bool = False
    execution: str | None = None


@dataclass(slots=True)
class Replay:
    """What is known after the entries so far. Each `_on_…` takes one kind of entry and yields what is wrong
    with it.
    """

    whole: bool = True
    """Whether these are all entries of a log, so that what is missing is missing."""

    people: People = field(default_factory=People)
    shown: set[tuple[str | None, str]] = field(default_factory=set[tuple[str | None, str]])
    requests: dict[str, _Request] = field(default_factory=dict[str, _Request])
    begun: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    outcomes: dict[str, str] = field(default_factory=dict[str, str])
    now_ms: int = 0

    def take(self, entry: StoredEntry) -> Iterable[str]:
        """Go on by one entry; go through what is wrong with it before the next one."""
        self.now_ms = entry.at_ms
        if entry.kind in PEOPLE_TOLD_BY:
            return self.people.take(entry, whole=self.whole)
        return self._taken(entry) if entry.kind in _TAKEN else ()

    def _taken(self, entry: StoredEntry) -> Iterator[str]:
        taking: dict[str, Callable[[StoredEntry], Iterator[str]]] = {
            "bundle.served": self._on_served,
            "approval.requested": self._on_requested,
            "approval.judged": self._on_judged,
            "approval.revoked": self._on_taken_back,
            "execution.begun": self._on_begun,
            "execution.settled": self._on_settled,
        }
        return taking[entry.kind](entry)

    def unfinished(self) -> Iterator[str]:
        """The executions whose lease was over before the log's end, and that have no outcome all the same."""
        for execution, (seq, lease_until_ms) in self.begun.items():
            if execution not in self.outcomes and lease_until_ms < self.now_ms:
                yield f"Entry {seq} begins {execution}, whose lease is over, and no entry gives its outcome."

    def _on_served(self, entry: StoredEntry) -> Iterator[str]:
        self.shown.add((entry.run, str(entry.body.get("bundle"))))
        yield from ()

    def _on_requested(self, entry: StoredEntry) -> Iterator[str]:
        request_id = str(entry.body.get("request"))
        call = _call_of(entry.body)
        if call is None or entry.body.get("digest") != call.digest():
            yield f"Entry {entry.seq} asks for approval of a call that is not the one it has the digest of."
            return
        self.requests[request_id] = _Request(entry.seq, str(entry.body.get("owner")), call)
        for edge in entry.rests_on:
            unseen = self.whole and (
                edge.foundation.startswith(BUNDLE_PREFIX) and (entry.run, edge.foundation) not in self.shown
            )
            if edge.relation == "considers" and unseen:
                yield f"Entry {entry.seq} rests on {edge.foundation}, which its run was never shown."

    def _on_judged(self, entry: StoredEntry) -> Iterator[str]:
        request = self.requests.get(str(entry.body.get("request")))
        signed = _verdict_of(entry.body)
        holder = None if signed is None else self.people.holder(signed.kid)
        if request is None or signed is None:
            yield f"Entry {entry.seq} is a verdict about no request that was made."
        elif holder is None or not signed.is_signed_by(holder.public_key):
            yield f"Entry {entry.seq} is a verdict that no enrolled key of {signed.verdict.reviewer} signed."
        else:
            request.casts.append(signed)

    def _on_taken_back(self, entry: StoredEntry) -> Iterator[str]:
        request = self.requests.get(str(entry.body.get("request")))
        if request is None:
            yield f"Entry {entry.seq} takes back a request that was never made."
        elif request.execution is None:
            request.revoked = True

    def _on_begun(self, entry: StoredEntry) -> Iterator[str]:
        execution = str(entry.body.get("execution"))
        lease = entry.body.get("lease_until_ms")
        self.begun[execution] = (entry.seq, lease if isinstance(lease, int) else 0)
        request = self.requests.get(str(entry.body.get("request")))
        if request is None:
            yield f"Entry {entry.seq} begins {execution} without an approval request."
            return
        denial = judge(self.facts(request), entry.at_ms)
        if denial is not None:
            yield f"Entry {entry.seq} begins {execution} against the gate: {denial.code}, {denial.reason}."
        request.execution = execution

    def _on_settled(self, entry: StoredEntry) -> Iterator[str]:
        execution = str(entry.body.get("execution"))
        if execution not in self.begun:
            yield f"Entry {entry.seq} settles {execution}, which was never begun."
        if "statement" in entry.body and not self._is_found_out(entry.body):
            yield f"Entry {entry.seq} settles {execution} by a person's word that no key of theirs signed."
        self.outcomes[execution] = str(entry.body.get("state"))

    def _is_found_out(self, body: JsonObject) -> bool:
        """Whether an enrolled person signed that this execution had this outcome."""
        signed = settlement_from_json(body["statement"])
        holder = None if signed is None else self.people.holder(signed.kid)
        if signed is None or holder is None:
            return False
        found = signed.settlement
        same = (body.get("execution"), body.get("state")) == (found.execution, found.outcome)
        return same and holder.person.id == found.person and signed.is_signed_by(holder.public_key)

    def facts(self, request: _Request) -> RedemptionFacts:
        """The facts of a redemption as far as a log tells them: the call itself stands for what was
        presented.
        """
        excluded = self.people.all_names(request.call.principal)
        if request.call.quorum.four_eyes:
            excluded |= self.people.all_names(request.owner)
        state = "revoked" if request.revoked else "approved"
        return RedemptionFacts(
            state=state if request.execution is None else "executing",
            created_seq=request.seq,
            call=request.call,
            presented=request.call,
            # Who holds the key now, not when they judged: a role lost before use no longer counts.
            verdicts=tuple(CastVerdict(signed, self.people.holder(signed.kid)) for signed in request.casts),
            excluded=excluded,
            changed=(),
            busy=None,
        )


def _call_of(body: JsonObject) -> CanonicalCall | None:
    try:
        call: JsonValue = body.get("call")
        return CanonicalCall.from_json(call)
    except (PolicyError, CanonicalError):
        return None


def _verdict_of(body: JsonObject) -> SignedVerdict | None:
    match body:
        case {
            "request_digest": str(digest),
            "verdict": ("approve" | "deny") as choice,
            "reviewer": str(reviewer),
            "at": int(at),
            "kid": str(kid),
            "signature": str(signature),
        }:
            return SignedVerdict(Verdict(digest, choice, reviewer, at), kid, signature)
        case _:
            return None
