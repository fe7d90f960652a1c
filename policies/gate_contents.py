"""What is in force, word for word, kept in the ledger: so what is to come into force can be compared with it.

Nothing here is believed by itself: a content counts only if it has the digest that the gate's state names.
"""

from __future__ import annotations

import json
from typing import Literal, cast

from ledger.transaction import Reading, Transaction
from policies.gate_state import GateState
from policies.policy_files import PolicyFiles, policy_digest
from policies.tables import gate_agreements, gate_contents

FilePart = Literal["tools", "workflows"]
"""The parts that are compared by the floor above: what the catalogue's tools are, and the workflows."""


def kept_policies(reading: Reading, gate: GateState) -> PolicyFiles | None:
    """The files of the policy set in force; None when nothing was loaded yet, or what is kept is not it."""
    text = kept(reading, "policy")
    files = None if text is None else cast("PolicyFiles", json.loads(text))
    return files if files is not None and policy_digest(files) == gate.policy else None


def keep_policies(tx: Transaction, files: PolicyFiles) -> None:
    """Keep the files of a policy set that comes into force in this transaction."""
    keep(tx, "policy", json.dumps(dict(files), sort_keys=True))


def kept(reading: Reading, part: FilePart | Literal["policy"]) -> str | None:
    """What is kept of a part, which its reader holds to the digest in the gate's state."""
    row = reading.one(gate_contents.select().where(gate_contents.c.part == part))
    return None if row is None else str(row.content)


def keep(tx: Transaction, part: FilePart | Literal["policy"], content: str) -> None:
    """Keep what comes into force in this transaction."""
    row = gate_contents.update().where(gate_contents.c.part == part)
    if tx.execute(row.values(content=content)).rowcount == 0:
        tx.execute(gate_contents.insert(), {"part": part, "content": content})


def agree(tx: Transaction, part: FilePart, base: str, digest: str, act: str) -> None:
    """Two admins agreed, by `act`, that what has this digest may replace what has the digest `base`."""
    if agreed(tx, part, base, digest) is None:
        row = {"part": part, "base": base, "digest": digest, "act": act}
        tx.execute(gate_agreements.insert(), row)


def agreed(reading: Reading, part: FilePart, base: str, digest: str) -> str | None:
    """The act by which two admins agreed to that; None if they did not."""
    row = reading.one(
        gate_agreements.select().where(
            gate_agreements.c.part == part,
            gate_agreements.c.base == base,
            gate_agreements.c.digest == digest,
        )
    )
    return None if row is None else str(row.act)


def forget_agreements(tx: Transaction, part: FilePart) -> None:
    """Others came into force: what was agreed about the ones before is over."""
    tx.execute(gate_agreements.delete().where(gate_agreements.c.part == part))
