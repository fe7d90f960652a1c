"""What the steps of a run may read, as grants of the store."""

from __future__ import annotations

from dataclasses import replace

from context_store.grants import ReadGrant
from tool_scopes.standing import Standing


def grant_of_step(standing: Standing) -> ReadGrant:
    """What the current step may read: its collections and labels, in the release that the run has pinned."""
    run, needs = standing.run, standing.step.needs
    return ReadGrant(
        tenant=run.tenant,
        principal=run.principal,
        run=run.id,
        step=run.step,
        epoch=run.epoch,
        labels=frozenset(needs.labels if needs else ()),
        # A step without a context reads nothing: no collection, which is not the same as every collection.
        collections=(frozenset(needs.collections) or None) if needs else frozenset(),
        release=run.release,
    )


def grant_of_run(standing: Standing) -> ReadGrant:
    """What any step of the run's workflow may read: for versions that the run was already shown."""
    labels = {label for step in standing.workflow.steps.values() if step.needs for label in step.needs.labels}
    return replace(grant_of_step(standing), labels=frozenset(labels), collections=None)
