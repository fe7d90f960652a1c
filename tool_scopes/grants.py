"""What the steps of a run may read, as grants of the store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from context_store.grants import ReadGrant
from policies.decisions import read_evidence
from tool_scopes.house import House
from tool_scopes.standing import Standing


def grant_of_step(house: House, standing: Standing) -> ReadGrant:
    """What the agent may read in the current step: its collections, and those of its labels that the policies
    allow, in the release that the run has pinned.
    """
    run, needs = standing.run, standing.step.needs
    return ReadGrant(
        tenant=run.tenant,
        principal=run.principal,
        run=run.id,
        step=run.step,
        epoch=run.epoch,
        labels=_allowed(house, standing, needs.labels if needs else ()),
        # A step without a context reads nothing: no collection, which is not the same as every collection.
        collections=(frozenset(needs.collections) or None) if needs else frozenset(),
        release=run.release,
    )


def grant_of_run(house: House, standing: Standing) -> ReadGrant:
    """What any step of the run's workflow may read: for versions that the run was already shown."""
    labels = {label for step in standing.workflow.steps.values() if step.needs for label in step.needs.labels}
    return replace(grant_of_step(house, standing), labels=_allowed(house, standing, labels), collections=None)


def _allowed(house: House, standing: Standing, labels: Iterable[str]) -> frozenset[str]:
    """Those of the labels with which the policies let this agent read. Each is asked about by itself, so one
    that the agent does not hold takes no other away.
    """
    agent, run = standing.caller.agent, standing.run
    return frozenset(
        label
        for label in labels
        if house.policies.decide(
            read_evidence(agent, run.id, run.tenant, run_owner=run.principal, labels=(label,))
        ).allowed
    )
