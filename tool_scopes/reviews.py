"""Reviews: the human's look at a run that reached a checkpoint.

Until a person resolves it, every write and every step change of the run is `checkpoint_open`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ledger.canonical import JsonObject, JsonValue
from ledger.entries import Entry
from ledger.transaction import Reading, Transaction
from tool_scopes.runs import Run, set_status
from tool_scopes.tables import reviews

Resolution = Literal["continue", "send_back", "stop"]


@dataclass(frozen=True, slots=True)
class Review:
    """A checkpoint that a run waits at, with the reasons as they are shown to the human."""

    run: str
    epoch: int
    step: str
    reasons: tuple[str, ...]
    next: str | None = None
    """The step that the agent chose to go on to."""


def open_review(tx: Transaction, run: Run, reasons: Sequence[str], following: str | None = None) -> Run:
    """Stop the run at its current step until a person has looked; `following` is where it wanted to go."""
    listed = list[JsonValue](reasons)
    tx.execute(
        reviews.insert(),
        {
            "run": run.id,
            "epoch": run.epoch,
            "step": run.step,
            "reasons": json.dumps(listed),
            "next": following,
            "at_ms": tx.now_ms,
        },
    )
    body: JsonObject = {"step": run.step, "epoch": run.epoch, "reasons": listed}
    tx.append(Entry("checkpoint.opened", run.tenant, body, principal=run.principal, run=run.id))
    return set_status(tx, run, "waiting", because="checkpoint")


def find_review(reading: Reading, run: Run) -> Review | None:
    """The unresolved review of the run's current epoch, if it waits at one."""
    row = reading.one(
        reviews.select().where(
            reviews.c.run == run.id, reviews.c.epoch == run.epoch, reviews.c.resolution.is_(None)
        )
    )
    return (
        None
        if row is None
        else Review(row.run, row.epoch, row.step, tuple(json.loads(row.reasons)), row.next)
    )


def close_review(tx: Transaction, run: Run, resolution: Resolution, *, person: str, note: str) -> None:
    """Write down what a person decided. What follows from it is the caller's act in the same transaction."""
    tx.execute(
        reviews.update()
        .where(reviews.c.run == run.id, reviews.c.epoch == run.epoch)
        .values(resolution=resolution, resolved_by=person, note=note)
    )
    body: JsonObject = {"step": run.step, "epoch": run.epoch, "resolution": resolution, "note": note}
    tx.append(Entry("checkpoint.resolved", run.tenant, body, principal=person, run=run.id))
