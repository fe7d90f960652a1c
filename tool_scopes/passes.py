"""Step passes: short-lived credentials for one principal in one step of one run.

A pass is shown once and stored as its digest. It dies with its epoch, so that a step which the run has left
can never be called again, and it opens nothing that its principal's own key would not open in that step.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ledger.canonical import JsonObject
from ledger.entries import Entry
from ledger.ids import random_token
from ledger.statements import fixed, param
from ledger.transaction import Reading, Transaction
from tool_scopes.runs import Run
from tool_scopes.tables import step_passes

PREFIX = "bwp"

_BY_DIGEST = fixed(step_passes.select().where(step_passes.c.digest == param("token")))


@dataclass(frozen=True, slots=True)
class StepPass:
    """What a valid pass stands for. `epoch` may be behind the run's by now: the standing check tells."""

    run: str
    principal: str
    step: str
    epoch: int


def issue_pass(tx: Transaction, run: Run, lifetime_ms: int) -> str:
    """A new pass for the run's current step. The text is returned once and never stored."""
    token = random_token(PREFIX)
    expires_ms = tx.now_ms + lifetime_ms
    tx.execute(
        step_passes.insert(),
        {
            "digest": _digest(token),
            "run": run.id,
            "principal": run.principal,
            "step": run.step,
            "epoch": run.epoch,
            "expires_ms": expires_ms,
        },
    )
    body: JsonObject = {"step": run.step, "epoch": run.epoch, "expires_ms": expires_ms}
    tx.append(Entry("pass.issued", run.tenant, body, principal=run.principal, run=run.id))
    return token


def find_pass(reading: Reading, token: str, now_ms: int) -> StepPass | None:
    """What this text is a pass for, or None when it is none, or has expired."""
    row = reading.one(_BY_DIGEST, {"token": _digest(token)})
    if row is None or row.expires_ms <= now_ms:
        return None
    return StepPass(run=row.run, principal=row.principal, step=row.step, epoch=row.epoch)


def _digest(token: str) -> str:
    # A plain hash is enough: the text has 130 random bits, so there is nothing to guess or to look up.
    return hashlib.sha256(token.encode()).hexdigest()
