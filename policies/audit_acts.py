"""Acts of two admins in a log: each was proposed and signed by two humans, and is carried out once, as
signed.

Pure, as the rest of the audit: who holds which key at an entry is told by its caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from ledger.canonical import JsonObject, JsonValue
from ledger.entries import StoredEntry
from policies.agreements import Agreement, Signatory, agreement_from_json
from policies.gate_state import digest_of_workflows, frozen_by
from policies.operations import CLOCK_TOLERANCE_MS
from policies.policy_files import policy_digest

ACT_KINDS: Final = ("act.proposed", "act.signed", "act.alone")


@dataclass(slots=True)
class Acts:
    """What is known of acts after the entries so far. Each method yields what is wrong with an entry."""

    proposed: dict[str, str] = field(default_factory=dict[str, str])
    signed: dict[str, Agreement] = field(default_factory=dict[str, Agreement])
    carried_out: set[str] = field(default_factory=set[str])

    def take(
        self,
        entry: StoredEntry,
        second_admin: int | None,
        holder: Callable[[str], Signatory | None],
        root: str,
    ) -> Iterator[str]:
        """Go on by one entry of `ACT_KINDS`. `second_admin` is the entry since when it takes two."""
        match entry.kind:
            case "act.proposed":
                self.proposed[str(entry.body.get("act"))] = str(entry.body.get("digest"))
            case "act.signed":
                yield from self._on_signed(entry, holder, root)
            case _:
                if second_admin is not None:
                    yield (
                        f"Entry {entry.seq} lowers the gate by one admin alone, though entry {second_admin} "
                        "enrolled a second one."
                    )

    def _on_signed(
        self, entry: StoredEntry, holder: Callable[[str], Signatory | None], root: str
    ) -> Iterator[str]:
        agreement = agreement_from_json(entry.body.get("agreement"))
        if agreement is None or agreement.act != entry.body.get("act"):
            yield f"Entry {entry.seq} says that an act was signed, without what two admins signed."
            return
        first, second = holder(agreement.asked.kid), holder(agreement.agreed.kid)
        as_proposed = self.proposed.get(agreement.act) == agreement.digest
        in_time = abs(agreement.agreed.at - entry.at_ms) <= 2 * CLOCK_TOLERANCE_MS
        of_two = first is not None and second is not None and agreement.is_of_two(first, second, root)
        if agreement.act in self.signed or not (as_proposed and in_time and of_two):
            yield f"Entry {entry.seq} says that {agreement.act} was signed, and no two admins signed it so."
            return
        self.signed[agreement.act] = agreement

    def carry_out(
        self, entry: StoredEntry, act: str, what: str, is_that: Callable[[Agreement], bool]
    ) -> Iterator[str]:
        """Entry `entry` does `what` by the act `act`, which must be exactly that, and not be done yet."""
        agreement = self.signed.get(act)
        if agreement is None or act in self.carried_out or not is_that(agreement):
            yield f"Entry {entry.seq} {what} by {act}, which no two admins signed for that."
        self.carried_out.add(act)

    def on_unfrozen(self, entry: StoredEntry, second_admin: int | None) -> Iterator[str]:
        """Something goes on after a freeze."""
        act = entry.body.get("act")
        if act is None and second_admin is None:
            return
        what = str(entry.body.get("what"))
        yield from self.carry_out(
            entry,
            str(act),
            f"lets {what} go on",
            lambda agreement: agreement.op == "unfreeze" and frozen_by(agreement.args) == what,
        )

    def on_loaded(self, entry: StoredEntry, second_admin: int | None) -> Iterator[str]:
        """Other files came into force."""
        acts = entry.body.get("acts")
        named = [str(act) for act in acts] if isinstance(acts, list) else []
        if entry.body.get("lowers") and not named and second_admin is not None:
            yield f"Entry {entry.seq} lowers the gate by files that no two admins agreed to."
        for act in named:
            yield from self.carry_out(
                entry,
                act,
                "puts files into force",
                lambda agreement: _loads(agreement, entry.body),
            )


def _loads(agreement: Agreement, body: JsonObject) -> bool:
    """Whether what two admins agreed to is what came into force."""
    match agreement.op, agreement.args:
        case "policy.load", {"files": dict(files)}:
            return body.get("policy") == policy_digest({name: str(text) for name, text in files.items()})
        case "upstream.load", {"digest": digest}:
            return body.get("tools") == digest
        case "workflow.load", {"digest": digest}:
            return _workflows(body.get("workflows")) == digest
        case _:
            return False


def _workflows(digests: JsonValue) -> str | None:
    return digest_of_workflows(cast("Mapping[str, str]", digests)) if isinstance(digests, dict) else None
