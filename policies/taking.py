"""Taking files into force: what a server loaded is put beside what the gate goes by, and counts only if it
may.

What lowers the gate takes two people. A server that starts is nobody: it brings into force what allows no
more than before, and what two people agreed to. In an installation that never had a second admin it brings
in everything, and the log says how the gate was lowered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ledger.canonical import text_digest
from ledger.transaction import Reading, Transaction
from policies.cedar import PolicySet
from policies.errors import PolicyError
from policies.gate_contents import (
    agreed,
    forget_agreements,
    keep_policies,
    keep_tools,
    kept_policies,
    kept_tools,
)
from policies.gate_state import GateDigests, GateState, load_gate, load_policy, read_gate
from policies.people import is_single_handed

Lowerings = Callable[[str | None, str], tuple[str, ...]]
"""How one text about tools lowers the gate against another; the floor above knows."""


class GateLowered(PolicyError):
    """The files lower the gate, and no two people agreed to it."""


@dataclass(frozen=True, slots=True)
class Files:
    """What a server loaded. `tools` says what its catalogue's tools are, as the ledger keeps it."""

    catalogue: str
    tools: str
    workflows: dict[str, str]


def policies_in_force(reading: Reading) -> PolicySet | None:
    """The set that the gate goes by, from the ledger; None when nothing was loaded yet.

    It was held to every invariant when it came into force, and a server is again at its start.
    """
    gate = read_gate(reading)
    files = kept_policies(reading, gate)
    return None if files is None else PolicySet.parse(files, place="the ledger")


def take_policies(tx: Transaction, policies: PolicySet, *, lowers: tuple[str, ...], by: str) -> None:
    """Put another policy set in force, and leave all else as it is."""
    load_policy(tx, policies.digest, by, lowers=lowers)
    keep_policies(tx, policies.files)


def why_not_taken(reading: Reading, found: PolicySet, now: PolicySet | None) -> tuple[str, ...]:
    """Why a policy set that was found in the folder is not put into force at a start; empty when it is."""
    if now is None or found.digest == now.digest or is_single_handed(reading):
        return ()
    return found.looser_than(now)


def take_files(
    tx: Transaction, policies: PolicySet, files: Files, lowerings: Lowerings, *, by: str
) -> GateState:
    """Put these policies and files in force. Raises `GateLowered` where that takes two people."""
    gate, tools = read_gate(tx), text_digest(files.tools)
    now = None if policies.digest == gate.policy else policies_in_force(tx)
    lowers = () if now is None else policies.looser_than(now)
    agreed_by = None
    if gate.tools not in ("", tools):
        lowers_tools = lowerings(kept_tools(tx, gate), files.tools)
        agreed_by = agreed(tx, gate.tools, tools)
        if lowers_tools and agreed_by is None and not is_single_handed(tx):
            raise GateLowered(
                f"The catalogue lowers the gate ({'; '.join(lowers_tools[:3])}), which takes two admins: "
                "propose it with `bailiwick upstream load`, or put the files back as they were."
            )
        lowers += lowers_tools
        forget_agreements(tx)
    keep_policies(tx, policies.files)
    keep_tools(tx, files.tools)
    digests = GateDigests(policies.digest, files.catalogue, files.workflows, tools)
    return load_gate(tx, digests, by, lowers=lowers, agreed_by=agreed_by)
