"""What is in force, word for word, kept in the ledger: so what is to come into force can be compared with it.

Nothing here is believed by itself: a content counts only if it has the digest that the gate's state names.
"""

from __future__ import annotations

import json
from typing import Literal, cast

from ledger.canonical import text_digest
from ledger.transaction import Reading, Transaction
from policies.gate_state import GateState
from policies.policy_files import PolicyFiles, policy_digest
from policies.tables import gate_agreements, gate_contents

Part = Literal["policy", "tools"]


def kept_policies(reading: Reading, gate: GateState) -> PolicyFiles | None:
    """The files of the policy set in force; None when nothing was loaded yet, or what is kept is not it."""
    text = _kept(reading, "policy")
    files = None if text is None else cast("PolicyFiles", json.loads(text))
    return files if files is not None and policy_digest(files) == gate.policy else None


def kept_tools(reading: Reading, gate: GateState) -> str | None:
    """What the tools in force are, as the catalogue's floor wrote it; None as with policies."""
    text = _kept(reading, "tools")
    return text if text is not None and text_digest(text) == gate.tools else None


def keep_policies(tx: Transaction, files: PolicyFiles) -> None:
    """Keep the files of a policy set that comes into force in this transaction."""
    _keep(tx, "policy", json.dumps(dict(files), sort_keys=True))


def keep_tools(tx: Transaction, tools: str) -> None:
    """Keep what the tools are that come into force in this transaction."""
    _keep(tx, "tools", tools)


def agree(tx: Transaction, base: str, digest: str, by: str) -> None:
    """Two people agreed, as `by` proposed, that tools `digest` may replace tools `base`."""
    if not agreed(tx, base, digest):
        row = {"part": "tools", "base": base, "digest": digest, "agreed_by": by}
        tx.execute(gate_agreements.insert(), row)


def agreed(reading: Reading, base: str, digest: str) -> str | None:
    """Who proposed what two people agreed to: that tools `digest` may replace `base`. None if nobody did."""
    row = reading.one(
        gate_agreements.select().where(
            gate_agreements.c.part == "tools",
            gate_agreements.c.base == base,
            gate_agreements.c.digest == digest,
        )
    )
    return None if row is None else str(row.agreed_by)


def forget_agreements(tx: Transaction) -> None:
    """Other tools came into force: what was agreed about the ones before is over."""
    tx.execute(gate_agreements.delete().where(gate_agreements.c.part == "tools"))


def _kept(reading: Reading, part: Part) -> str | None:
    row = reading.one(gate_contents.select().where(gate_contents.c.part == part))
    return None if row is None else str(row.content)


def _keep(tx: Transaction, part: Part, content: str) -> None:
    kept = gate_contents.update().where(gate_contents.c.part == part)
    if tx.execute(kept.values(content=content)).rowcount == 0:
        tx.execute(gate_contents.insert(), {"part": part, "content": content})
