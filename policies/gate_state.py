"""The gate's own state: one generation that names everything the gate goes by.

It holds the digests of the policy set, the catalogue, its tools as they were accepted and the workflows; a
digest that moves with every change of people and agents; each tenant's newest release; and what is frozen.
It is one row, read with one statement on every call. A server that loaded other files than these must not
judge with them; it answers `unavailable`. So N servers change over together, and a file edited under a
running server changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, cast

from ledger.canonical import JsonObject, JsonValue, canonical, text_digest
from ledger.entries import WHOLE_FOLDER, Entry
from ledger.statements import fixed
from ledger.transaction import Reading, Transaction
from policies.codes import Denial
from policies.errors import PolicyError
from policies.tables import gate_state

EVERYTHING: Final = "everything"
"""What a freeze of the whole folder stops; else it is `agent:ID` or `tool:NAME`."""


@dataclass(frozen=True, slots=True)
class GateDigests:
    """The digests of what a server loaded: the policy set, the catalogue, each workflow by name, and the
    catalogue's tools (what each is, how it is reached, and the fingerprint that was accepted).
    """

    policy: str
    catalogue: str
    workflows: Mapping[str, str]
    tools: str = ""

    def as_json(self) -> JsonObject:
        """The form for the log."""
        return {
            "policy": self.policy,
            "catalogue": self.catalogue,
            "workflows": dict(self.workflows),
            "tools": self.tools,
        }

    @property
    def all_workflows(self) -> str:
        """One digest over all workflows."""
        return digest_of_workflows(self.workflows)


@dataclass(frozen=True, slots=True)
class GateState:
    """What is in force. `generation` rises with every change of it; 0 says that there is no gate yet, an
    empty `policy` that nothing was ever loaded.

    `frozen` says what stands still and why: `everything`, `agent:ID` or `tool:NAME`. `releases` is the
    newest release of each tenant.
    """

    generation: int = 0
    policy: str = ""
    catalogue: str = ""
    tools: str = ""
    workflows: str = ""
    people: str = ""
    releases: Mapping[str, int] = field(default_factory=dict[str, int])
    frozen: Mapping[str, str] = field(default_factory=dict[str, str])

    def as_json(self) -> JsonObject:
        """The form for listings."""
        return {
            "generation": self.generation,
            "policy": self.policy,
            "catalogue": self.catalogue,
            "tools": self.tools,
            "workflows": self.workflows,
            "people": self.people,
            "releases": dict(self.releases),
            "frozen": dict(self.frozen),
        }


def digest_of_workflows(digests: Mapping[str, str]) -> str:
    """One digest over those of all workflows, by name."""
    lines = [f"{name} {digest}" for name, digest in sorted(digests.items())]
    return text_digest("\n".join(["bailiwick-workflows-v1", *lines]))


_GATE = fixed(gate_state.select())
_NONE: Final = "{}"


def read_gate(reading: Reading) -> GateState:
    """The gate's state now."""
    row = reading.one(_GATE)
    if row is None:
        return GateState()
    return GateState(
        row.generation,
        row.policy,
        row.catalogue,
        row.tools,
        row.workflows,
        row.people,
        cast("dict[str, int]", _mapping(row.releases)),
        cast("dict[str, str]", _mapping(row.frozen)),
    )


def load_gate(
    tx: Transaction,
    digests: GateDigests,
    by: str,
    *,
    lowers: tuple[str, ...] = (),
    acts: tuple[str, ...] = (),
) -> GateState:
    """Put `digests` in force. Appends `gate.loaded` and opens a new generation when they differ from what
    was.

    `by` is the id of the person, or the server, that loads them; `lowers` says how they lower the gate, and
    `acts` names the acts of two admins who agreed to that.
    """
    before = read_gate(tx)
    after = replace(
        before,
        generation=before.generation + 1,
        policy=digests.policy,
        catalogue=digests.catalogue,
        tools=digests.tools,
        workflows=digests.all_workflows,
    )
    if replace(after, generation=before.generation) == before:
        return before
    body: JsonObject = {"generation": after.generation, **digests.as_json()}
    if lowers:
        body |= {"lowers": list[JsonValue](lowers), "acts": list[JsonValue](acts)}
    _write(tx, before, after)
    tx.append(_entry("gate.loaded", body, by))
    return after


def load_policy(
    tx: Transaction, policy: str, by: str, *, lowers: tuple[str, ...], acts: tuple[str, ...] = ()
) -> None:
    """Put another policy set in force and leave all else as it is; the rest as with `load_gate`."""
    before = read_gate(tx)
    if before.policy == policy:
        return
    after = replace(before, generation=before.generation + 1, policy=policy)
    body: JsonObject = {"generation": after.generation, "policy": policy}
    if lowers:
        body |= {"lowers": list[JsonValue](lowers), "acts": list[JsonValue](acts)}
    _write(tx, before, after)
    tx.append(_entry("gate.loaded", body, by))


def note_people(tx: Transaction, seq: int) -> None:
    """People or agents changed, as log entry `seq` says: a new generation."""
    before = read_gate(tx)
    people = people_after(before.people, seq)
    _write(tx, before, replace(before, generation=before.generation + 1, people=people))


def people_after(before: str, seq: int) -> str:
    """The digest of people after the change that log entry `seq` tells of."""
    return text_digest(f"bailiwick-people-v1\n{before}\n{seq}")


def frozen_by(args: JsonObject) -> str:
    """What an operation freezes or lets go on, as the gate's state calls it."""
    if isinstance(args.get("agent"), str):
        return f"agent:{args['agent']}"
    return f"tool:{args['tool']}" if isinstance(args.get("tool"), str) else EVERYTHING


def note_release(tx: Transaction, tenant: str, release: int) -> None:
    """A tenant's newest release is this one: a new generation."""
    before = read_gate(tx)
    releases = {**before.releases, tenant: release}
    _write(tx, before, replace(before, generation=before.generation + 1, releases=releases))


def set_frozen(
    tx: Transaction, *, frozen: bool, by: str, reason: str, what: str = EVERYTHING, act: str | None = None
) -> bool:
    """Stop everything, one agent or one tool, or let it go on.

    `by` is the person who does it, `act` the act of two admins by which it goes on. Gives False when that was
    so already, and then nothing is logged.
    """
    before = read_gate(tx)
    if before.generation == 0:
        raise PolicyError("There is no gate in this folder yet, so there is nothing to stop.")
    if (what in before.frozen) == frozen:
        return False
    now = {**before.frozen, what: reason} if frozen else {k: v for k, v in before.frozen.items() if k != what}
    after = replace(before, generation=before.generation + 1, frozen=now)
    _write(tx, before, after)
    body: JsonObject = {"generation": after.generation, "what": what, "reason": reason}
    if act is not None:
        body["act"] = act
    tx.append(_entry("gate.frozen" if frozen else "gate.unfrozen", body, by))
    return True


def freeze_denial(gate: GateState, agent: str, tool: str | None = None) -> Denial | None:
    """Why this agent must not act, or use this tool, because of a freeze; None when nothing is frozen for
    it.
    """
    if not gate.frozen:
        return None
    for what in (EVERYTHING, f"agent:{agent}", f"tool:{tool}"):
        if what in gate.frozen:
            return Denial("frozen", reason=f"{what} is frozen: {gate.frozen[what] or 'no reason given'}")
    return None


def gate_denial(gate: GateState, policy: str, catalogue: str, workflows: str | None = None) -> Denial | None:
    """Why a server that judges with these digests must not; None when they are the ones in force."""
    if (policy, catalogue) == (gate.policy, gate.catalogue) and workflows in (None, gate.workflows):
        return None
    return Denial(
        "unavailable",
        f"this server's files are not those of generation {gate.generation}: restart it with them",
    )


def _mapping(text: str) -> dict[str, int] | dict[str, str]:
    return {} if text == _NONE else json.loads(text)


def _write(tx: Transaction, before: GateState, after: GateState) -> None:
    row: dict[str, object] = {
        "generation": after.generation,
        "policy": after.policy,
        "catalogue": after.catalogue,
        "tools": after.tools,
        "workflows": after.workflows,
        "people": after.people,
        "releases": canonical(cast("JsonValue", dict(after.releases))).decode(),
        "frozen": canonical(cast("JsonValue", dict(after.frozen))).decode(),
    }
    if before.generation == 0:
        tx.execute(gate_state.insert(), {"id": 1, **row})
    else:
        tx.execute(gate_state.update().values(**row))


def _entry(kind: str, body: JsonObject, by: str) -> Entry:
    return Entry(kind, WHOLE_FOLDER, body, principal=by)
