"""The envelopes that were accepted, as they are kept, each with a digest that approvals are bound to."""

from __future__ import annotations

import json

from ledger.canonical import JsonObject, JsonValue, canonical, digest
from ledger.entries import Entry, RestsOn
from ledger.statements import fixed, param
from ledger.transaction import Reading, Transaction
from tool_scopes.envelopes import CheckedEnvelope, Envelope
from tool_scopes.runs import Run
from tool_scopes.tables import envelopes

_KEEP = fixed(envelopes.insert())
_OF_RUN = fixed(envelopes.select().where(envelopes.c.run == param("of_run")).order_by(envelopes.c.epoch))


def keep_envelope(tx: Transaction, run: Run, checked: CheckedEnvelope) -> None:
    """Keep an accepted envelope, each quote with its exact provenance id, and log what it rests on."""
    quotes = zip(checked.envelope.evidence, checked.cited, strict=True)
    evidence: list[JsonValue] = [{"source": cited, "quote": item.quote} for item, cited in quotes]
    stored: JsonObject = {**checked.envelope.model_dump(mode="json"), "evidence": evidence}
    row = {
        "run": run.id,
        "epoch": run.epoch,
        "step": run.step,
        "envelope": canonical(stored).decode(),
        "digest": digest("bailiwick-envelope-v1", stored),
        "at_ms": tx.now_ms,
    }
    tx.run(_KEEP, row)
    name = f"{run.id}/{run.step}#{run.epoch}"
    edges = tuple(RestsOn(name, "cites", cited) for cited in dict.fromkeys(checked.cited))
    body: JsonObject = {"step": run.step, "epoch": run.epoch, "envelope": stored}
    tx.append(Entry("step.submitted", run.tenant, body, principal=run.principal, run=run.id, rests_on=edges))


def kept_envelope(reading: Reading, run: Run) -> Envelope | None:
    """The envelope that was accepted in the run's current epoch, if there was one."""
    rows = reading.all(_OF_RUN, {"of_run": run.id})
    found = next((row.envelope for row in rows if row.epoch == run.epoch), None)
    return None if found is None else Envelope.model_validate(json.loads(found))


def has_submitted(reading: Reading, run: Run, step: str) -> bool:
    """Whether an envelope of this step was ever accepted in the run."""
    return any(row.step == step for row in reading.all(_OF_RUN, {"of_run": run.id}))


def envelope_digests(reading: Reading, run_id: str) -> tuple[str, ...]:
    """The digests of everything that the run has concluded, in the order of its steps."""
    return tuple(row.digest for row in reading.all(_OF_RUN, {"of_run": run_id}))
