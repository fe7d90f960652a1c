"""Taking files into force: what a server loaded is put beside what the gate goes by, and counts only if it
may.

What lowers the gate takes two people. A server that starts is nobody: it brings into force what allows no
more than before, and what two people agreed to. In an installation that never had a second admin it brings
in everything, and the log says how the gate was lowered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ledger.transaction import Reading, Transaction
from policies.cedar import PolicySet
from policies.errors import PolicyError
from policies.gate_contents import (
    FilePart,
    agreed,
    forget_agreements,
    keep,
    keep_policies,
    kept,
    kept_policies,
)
from policies.gate_state import GateDigests, GateState, load_gate, load_policy, read_gate
from policies.people import is_single_handed


class GateLowered(PolicyError):
    """The files lower the gate, and no two people agreed to it."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of what a server loaded, as the ledger keeps it, and what the floor above knows of it."""

    name: FilePart
    text: str
    digest_of: Callable[[str], str]
    """By what digest the gate's state knows such a text."""

    lowerings: Callable[[str | None, str], tuple[str, ...]]
    """How one such text lowers the gate against another, or against what is not known."""

    proposed_by: str
    """The command that proposes it."""

    @property
    def digest(self) -> str:
        """Its digest."""
        return self.digest_of(self.text)

    def in_force(self, reading: Reading, digest: str) -> str | None:
        """The text of this part that the gate goes by; None when what is kept does not have the digest."""
        text = kept(reading, self.name)
        return text if text is not None and self.digest_of(text) == digest else None


@dataclass(frozen=True, slots=True)
class Files:
    """What a server loaded: digests of its catalogue and each workflow, and the parts that are compared."""

    catalogue: str
    workflows: dict[str, str]
    tools: Part
    flows: Part


def policies_in_force(reading: Reading) -> PolicySet | None:
    """The set that the gate goes by, from the ledger; None when nothing was loaded yet.

    It was held to every invariant when it came into force, and a server is again at its start.
    """
    gate = read_gate(reading)
    files = kept_policies(reading, gate)
    return None if files is None else PolicySet.parse(files, place="the ledger")


def take_policies(
    tx: Transaction, policies: PolicySet, *, lowers: tuple[str, ...], by: str, acts: tuple[str, ...] = ()
) -> None:
    """Put another policy set in force, and leave all else as it is."""
    load_policy(tx, policies.digest, by, lowers=lowers, acts=acts)
    keep_policies(tx, policies.files)


def why_not_taken(reading: Reading, found: PolicySet, now: PolicySet | None) -> tuple[str, ...]:
    """Why a policy set that was found in the folder is not put into force at a start; empty when it is."""
    if now is None or found.digest == now.digest or is_single_handed(reading):
        return ()
    return found.looser_than(now)


def take_files(tx: Transaction, policies: PolicySet, files: Files, *, by: str) -> GateState:
    """Put these policies and files in force. Raises `GateLowered` where that takes two people."""
    gate = read_gate(tx)
    now = None if policies.digest == gate.policy else policies_in_force(tx)
    lowers, acts = (() if now is None else policies.looser_than(now)), ()
    for part, base in ((files.tools, gate.tools), (files.flows, gate.workflows)):
        if base not in ("", part.digest):
            why, act = _lowered(tx, part, base)
            lowers, acts = (*lowers, *why), (*acts, *act)
            forget_agreements(tx, part.name)
        keep(tx, part.name, part.text)
    keep_policies(tx, policies.files)
    digests = GateDigests(policies.digest, files.catalogue, files.workflows, files.tools.digest)
    return load_gate(tx, digests, by, lowers=lowers, acts=acts)


def _lowered(tx: Transaction, part: Part, base: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """How a part lowers the gate, and the act by which two admins agreed to that, if it takes one."""
    why = part.lowerings(part.in_force(tx, base), part.text)
    if not why:
        return (), ()
    act = agreed(tx, part.name, base, part.digest)
    if act is None and not is_single_handed(tx):
        what = {"tools": "The catalogue lowers", "workflows": "The workflows lower"}[part.name]
        raise GateLowered(
            f"{what} the gate ({'; '.join(why[:3])}), which takes two admins: propose it with "
            f"`{part.proposed_by}`, or put the files back as they were."
        )
    return why, (() if act is None else (act,))
