"""The gate's own state: which files are in force, and whether everything is frozen.

The files are named by their digests in one row of the ledger. A server that loaded other files than these
must not judge with them; it answers `unavailable`. So N servers change over together, and a file edited
under a running server changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from ledger.canonical import JsonObject, JsonValue, canonical, parse_strict
from ledger.entries import WHOLE_FOLDER, Entry
from ledger.statements import fixed
from ledger.transaction import Reading, Transaction
from policies.codes import Denial
from policies.errors import PolicyError
from policies.tables import gate_state


@dataclass(frozen=True, slots=True)
class GateDigests:
    """The digests of what a server loaded: the policy set, the catalogue, and each workflow by name."""

    policy: str
    catalogue: str
    workflows: Mapping[str, str]

    def as_json(self) -> JsonObject:
        """The form for the log."""
        return {"policy": self.policy, "catalogue": self.catalogue, "workflows": dict(self.workflows)}


@dataclass(frozen=True, slots=True)
class GateState:
    """What is in force. `generation` rises with every change of it; 0 says that nothing was ever loaded."""

    generation: int
    digests: GateDigests
    frozen: bool


_GATE = fixed(gate_state.select())

NOTHING_LOADED = GateState(0, GateDigests("", "", {}), frozen=False)


def read_gate(reading: Reading) -> GateState:
    """The gate's state now."""
    row = reading.one(_GATE)
    if row is None:
        return NOTHING_LOADED
    workflows = cast("dict[str, str]", parse_strict(row.workflows, max_bytes=len(row.workflows) * 4))
    return GateState(row.generation, GateDigests(row.policy, row.catalogue, workflows), bool(row.frozen))


def load_gate(tx: Transaction, digests: GateDigests, by: str) -> GateState:
    """Put `digests` in force. Appends `gate.loaded` and opens a new generation when they differ from what
    was.

    `by` is the id of the person, or the server, that loads them.
    """
    before = read_gate(tx)
    if before.generation > 0 and before.digests.as_json() == digests.as_json():
        return before
    after = GateState(before.generation + 1, digests, before.frozen)
    _write(tx, before, after)
    tx.append(_entry("gate.loaded", {"generation": after.generation, **digests.as_json()}, by))
    return after


def set_frozen(tx: Transaction, *, frozen: bool, by: str, reason: str) -> bool:
    """Stop every run from being opened and every tool from being used, or let it go on.

    `by` is the person who does it. Gives False when that was so already, and then nothing is logged.
    """
    before = read_gate(tx)
    if before.generation == 0:
        raise PolicyError(
            "Nothing was ever served from this folder, so there is nothing to stop; serve it first."
        )
    if before.frozen == frozen:
        return False
    after = GateState(before.generation + 1, before.digests, frozen)
    _write(tx, before, after)
    body: JsonObject = {"generation": after.generation, "reason": reason}
    tx.append(_entry("gate.frozen" if frozen else "gate.unfrozen", body, by))
    return True


def gate_denial(gate: GateState, policy: str, catalogue: str) -> Denial | None:
    """Why a server that judges with these two digests must not; None when they are the ones in force."""
    if (policy, catalogue) == (gate.digests.policy, gate.digests.catalogue):
        return None
    return Denial(
        "unavailable",
        f"this server's files are not those of generation {gate.generation}: restart it with them",
    )


def _write(tx: Transaction, before: GateState, after: GateState) -> None:
    row: dict[str, object] = {
        "generation": after.generation,
        "policy": after.digests.policy,
        "catalogue": after.digests.catalogue,
        "workflows": canonical(cast("JsonValue", dict(after.digests.workflows))).decode(),
        "frozen": int(after.frozen),
    }
    if before.generation == 0:
        tx.execute(gate_state.insert(), {"id": 1, **row})
    else:
        tx.execute(gate_state.update().values(**row))


def _entry(kind: str, body: JsonObject, by: str) -> Entry:
    return Entry(kind, WHOLE_FOLDER, body, principal=by)
