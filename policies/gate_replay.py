"""The gate's state as the log tells it: what came into force, what is frozen, and every change of people.

The row that servers read on every call is a convenience; this is what it must say. A start and an audit hold
the one to the other, so that a row set by hand lets nothing go on and brings nothing into force.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Final, cast

from ledger.entries import StoredEntry
from policies.gate_state import GateState, digest_of_workflows, people_after

PEOPLE_KINDS: Final = (
    "person.enrolled",
    "person.revoked",
    "agent.enrolled",
    "agent.labelled",
    "agent_key.revoked",
)
GATE_KINDS: Final = (*PEOPLE_KINDS, "gate.loaded", "gate.frozen", "gate.unfrozen", "release.published")
"""The entries that change the gate's state, each by one generation."""


@dataclass(slots=True)
class GateReplay:
    """The state after the entries so far."""

    state: GateState = field(default_factory=GateState)

    def take(self, entry: StoredEntry) -> None:
        """Go on by one entry; those of other kinds change nothing."""
        if entry.kind in GATE_KINDS:
            self.state = replace(_after(self.state, entry), generation=self.state.generation + 1)

    def differences(self, stored: GateState) -> Iterator[str]:
        """Where the stored state says otherwise than the log, as sentences."""
        for name in (one.name for one in fields(GateState)):
            told, says = getattr(self.state, name), getattr(stored, name)
            if told != says:
                yield f"The gate's {name} is {says or 'empty'} in the table, {told or 'empty'} in the log."


def _after(state: GateState, entry: StoredEntry) -> GateState:
    body = entry.body
    match entry.kind:
        case "gate.loaded":
            files = {name: str(body[name]) for name in ("policy", "catalogue", "tools") if name in body}
            flows = body.get("workflows")
            if isinstance(flows, dict):
                files["workflows"] = digest_of_workflows(cast("Mapping[str, str]", flows))
            return replace(state, **files)
        case "gate.frozen":
            return replace(state, frozen={**state.frozen, str(body.get("what")): str(body.get("reason"))})
        case "gate.unfrozen":
            return replace(state, frozen={k: v for k, v in state.frozen.items() if k != body.get("what")})
        case "release.published":
            return replace(state, releases={**state.releases, entry.tenant: cast("int", body.get("release"))})
        case _:
            return replace(state, people=people_after(state.people, entry.seq))
