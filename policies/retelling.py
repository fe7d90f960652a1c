"""What the entries behind one request prove by themselves: the audit's replay, over the part that was
exported.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.entries import StoredEntry
from policies.audit_rules import Replay
from policies.call import CanonicalCall
from policies.codes import Denial
from policies.redemption import judge
from policies.server_keys import Voucher


@dataclass(frozen=True, slots=True)
class Retold:
    """What a part of a log proves about one request, at a time that the reader chose.

    `denial` says why the approval opens its call no longer, or did not when it was spent; None when it does
    or did. `root` is the public key that everything leads back to.
    """

    faults: tuple[str, ...]
    root: str | None
    server_keys: dict[str, Voucher]
    call: CanonicalCall | None
    owner: str
    execution: str | None
    denial: Denial | None
    signers: tuple[tuple[str, str], ...]
    """Of every verdict whose signature is good: who, and what."""


def retell(entries: Iterable[StoredEntry], request_id: str, at_ms: int) -> Retold:
    """Replay the entries that one request rests on; whether they are all of them, only a whole log can
    tell.
    """
    replay = Replay(whole=False)
    faults = [fault for entry in entries for fault in replay.take(entry)]
    request = replay.requests.get(request_id)
    denial = None
    if request is not None and request.execution is None:
        denial = judge(replay.facts(request), at_ms)
    casts = () if request is None else request.casts
    return Retold(
        faults=tuple(faults),
        root=replay.people.root_key,
        server_keys=dict(replay.people.server_keys),
        call=None if request is None else request.call,
        owner="" if request is None else request.owner,
        execution=None if request is None else request.execution,
        denial=denial,
        signers=tuple((cast.verdict.reviewer, cast.verdict.verdict) for cast in casts),
    )
