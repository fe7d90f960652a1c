"""Whether an approval opens the call that is presented. Pure: facts in, a denial or nothing out.

The order is the design's order of judgement. Everything is read again in the transaction that asks; a column
that says "approved" is never enough, because only signatures of people that are enrolled now, in the role
that is asked for now, and whose keys were enrolled before the request, open a write.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ledger.canonical import JsonObject, canonical
from policies.call import CanonicalCall, PresentedCall
from policies.codes import Denial
from policies.people import KeyHolder
from policies.verdicts import SignedVerdict

_THE_CALL = ("upstream", "endpoint", "tool", "arguments", "target")
_THE_FILES = ("fingerprint", "policy", "catalogue", "workflow")


@dataclass(frozen=True, slots=True)
class CastVerdict:
    """A stored verdict, and who holds its key now: None when the key is unknown, revoked or not proven."""

    signed: SignedVerdict
    holder: KeyHolder | None


@dataclass(frozen=True, slots=True)
class RedemptionFacts:
    """Everything that the judgement rests on, as one transaction saw it.

    `created_seq` is the log entry of the request. `excluded` are the names that may not judge: the
    requester's, and under four eyes every name of its owner. `changed` names evidence that is no longer in
    force; `busy` names an unfinished execution on the same target.
    """

    state: str
    call: CanonicalCall
    created_seq: int
    presented: PresentedCall
    verdicts: tuple[CastVerdict, ...]
    excluded: frozenset[str]
    changed: tuple[str, ...]
    busy: str | None


def judge(facts: RedemptionFacts, now_ms: int) -> Denial | None:
    """None when this call may be made now under this approval; else the first denial in the order of
    judgement.
    """
    for check in (_same_place, _same_call, _not_taken_back, _unspent, _signed, _same_world):
        denial = check(facts, now_ms)
        if denial is not None:
            return denial
    return None


def approvers(facts: RedemptionFacts) -> frozenset[str]:
    """The people whose approval of exactly this call counts now."""
    return frozenset(holder.person.id for holder in _counted(facts))


def quorum_met(facts: RedemptionFacts) -> bool:
    """Whether as many distinct humans, with as many distinct keys, have approved as the call's quorum asks
    for.

    Names that are one human count once, and so does one key under two names.
    """
    return counted(facts) >= facts.call.quorum.needed


def counted(facts: RedemptionFacts) -> int:
    """How many distinct humans, with as many distinct keys, have approved."""
    humans: list[frozenset[str]] = []
    keys: set[str] = set()
    for holder in _counted(facts):
        names = holder.person.identities
        if holder.public_key not in keys and not any(names & known for known in humans):
            humans.append(names)
            keys.add(holder.public_key)
    return len(humans)


def _counted(facts: RedemptionFacts) -> Iterator[KeyHolder]:
    call, digest = facts.call, facts.call.digest()
    for cast in facts.verdicts:
        holder, verdict = cast.holder, cast.signed.verdict
        if holder is None or verdict.verdict != "approve":
            continue
        person = holder.person
        if call.quorum.role not in person.roles or person.tenant != call.tenant:
            continue
        if person.identities & facts.excluded or holder.enrolled_seq >= facts.created_seq:
            # Neither the requester's side, nor anybody who was let in after the request, judges it.
            continue
        genuine = verdict.request_digest == digest and verdict.reviewer == person.id
        if genuine and cast.signed.is_signed_by(holder.public_key):
            yield holder


def _same_place(facts: RedemptionFacts, _now_ms: int) -> Denial | None:
    call, presented = facts.call, facts.presented
    if (call.tenant, call.principal, call.run) != (presented.tenant, presented.principal, presented.run):
        # Another's approval is as if absent: the answer is the one for no approval, without a hint.
        return Denial("approval_required", reason="the token belongs to another tenant, agent or run")
    if (call.step, call.epoch) != (presented.step, presented.epoch):
        here = f"presented at step {presented.step}, epoch {presented.epoch}"
        reason = f"approved for step {call.step}, epoch {call.epoch}; {here}"
        return Denial("step_closed", reason=reason)
    return None


def _same_call(facts: RedemptionFacts, _now_ms: int) -> Denial | None:
    approved, presented = facts.call.as_json(), facts.presented.as_json()
    for name in _THE_CALL:
        # By canonical bytes: to Python True equals 1, to an upstream it does not.
        if canonical(approved[name]) != canonical(presented[name]):
            differs = _which(name, approved, presented)
            return Denial("approval_mismatch", reason=f"other than approved: {differs}")
    return None


def _which(name: str, approved: JsonObject, presented: JsonObject) -> str:
    """The part of the call, and of its arguments those that differ; never their values."""
    before, now = approved[name], presented[name]
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return name
    names = sorted(
        key
        for key in before.keys() | now.keys()
        if key not in before or key not in now or canonical(before[key]) != canonical(now[key])
    )
    return f"{name} ({', '.join(names)})"


def _not_taken_back(facts: RedemptionFacts, now_ms: int) -> Denial | None:
    # A denial wins over every approval, also before it has reached the state.
    denied = any(cast.signed.verdict.verdict == "deny" for cast in facts.verdicts)
    if facts.state == "denied" or (denied and facts.state in ("pending", "approved")):
        return Denial("approval_denied", reason="a reviewer denied it")
    if facts.state == "revoked":
        return Denial("approval_revoked", reason="the approval was revoked")
    over = now_ms >= facts.call.expires and facts.state in ("pending", "approved")
    if facts.state == "expired" or over:
        return Denial("approval_expired", reason=f"good until before {facts.call.expires}")
    return None


def _unspent(facts: RedemptionFacts, _now_ms: int) -> Denial | None:
    if facts.state in ("pending", "approved"):
        return None
    return Denial("approval_spent", reason=f"its execution is {facts.state}")


def _signed(facts: RedemptionFacts, now_ms: int) -> Denial | None:
    if now_ms < facts.call.not_before:
        return Denial("approval_pending", reason=f"not good before {facts.call.not_before}")
    if facts.state == "approved" and quorum_met(facts):
        return None
    needed = facts.call.quorum.needed
    reason = f"{facts.state}; {len(approvers(facts))} of {needed} approvals hold for this call now"
    return Denial("approval_pending", reason=reason)


def _same_world(facts: RedemptionFacts, _now_ms: int) -> Denial | None:
    approved, presented = facts.call.as_json(), facts.presented.as_json()
    for name in _THE_FILES:
        if approved[name] != presented[name]:
            return Denial("policy_changed", reason=f"{name} is not as it was when the call was requested")
    if facts.changed:
        return Denial("evidence_changed", reason=f"no longer in force: {', '.join(facts.changed[:5])}")
    if approved["precondition"] != presented["precondition"]:
        return Denial("target_changed", reason="the target's version is not the approved one")
    if facts.busy is not None:
        return Denial("target_changed", reason=f"execution {facts.busy} on this target is unfinished")
    return None
