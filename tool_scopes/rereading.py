"""Evidence that changed under a run: what the run has to read anew before it may ask for a write again.

A run that was shown a text which is no longer in force is not lost. When it reads its step's evidence anew,
on the newest release, that is written down together with what had changed. A request that is made from then
on names those versions in what reviewers sign, so they judge knowing of them; what changes later closes it
as ever.
"""

from __future__ import annotations

from context_store.currency import changed_evidence
from context_store.head import head_release
from ledger.canonical import JsonObject, JsonValue
from ledger.entries import Entry, RestsOn
from ledger.statements import fixed, param
from ledger.transaction import Reading, Transaction
from policies.call import CHANGED_PREFIX
from tool_scopes.runs import Run, pin_release
from tool_scopes.tables import rereadings

_OF_EPOCH = fixed(
    rereadings.select()
    .with_only_columns(rereadings.c.version)
    .where(rereadings.c.run == param("of_run"), rereadings.c.epoch == param("at_epoch"))
)
_NOTE = rereadings.insert()


def changed_versions(reading: Reading, run: Run, now_ms: int) -> tuple[str, ...]:
    """The versions that the run was shown, in any step, and that are no longer in force."""
    found = changed_evidence(reading, run.id, now_ms)
    return tuple(dict.fromkeys(str(item.version) for item in found))


def reread_versions(reading: Reading, run: Run) -> frozenset[str]:
    """Those of them after whose change the run has read the evidence of its current step anew."""
    rows = reading.all(_OF_EPOCH, {"of_run": run.id, "at_epoch": run.epoch})
    return frozenset(row.version for row in rows)


def in_evidence(versions: frozenset[str]) -> tuple[str, ...]:
    """How a canonical call names versions that were out of force already when it was asked for."""
    return tuple(f"{CHANGED_PREFIX}{version}" for version in sorted(versions))


def on_newest_release(tx: Transaction, run: Run) -> Run:
    """The run, with the newest release pinned: what replaced a changed text must be there to be read."""
    newest = head_release(tx, run.tenant)
    return run if newest <= run.release else pin_release(tx, run, newest)


def note_rereading(tx: Transaction, run: Run, bundle: str, changed: tuple[str, ...]) -> None:
    """Write down that the run was shown `bundle` after these versions had changed. It goes into the
    transaction that records the bundle.
    """
    new = [version for version in changed if version not in reread_versions(tx, run)]
    if not new:
        return
    rows = [{"run": run.id, "epoch": run.epoch, "version": version, "at_ms": tx.now_ms} for version in new]
    tx.execute(_NOTE, rows)
    body: JsonObject = {
        "step": run.step,
        "epoch": run.epoch,
        "release": run.release,
        "bundle": bundle,
        "changed": list[JsonValue](new),
    }
    edges = tuple(RestsOn(run.id, "knows_changed", version) for version in new)
    tx.append(Entry("evidence.reread", run.tenant, body, principal=run.principal, run=run.id, rests_on=edges))
