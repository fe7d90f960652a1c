"""Scopes: the exact tools of a step, the same for every list and every call.

A scope is a function of a workflow's version, a step and the live catalogue; never of a connection or of what
was asked before. What is hidden, quarantined or absent upstream is in no scope.

Whatever an agent can list or use of a step goes through here: a new kind of thing that a step offers is a
field of `Scope`, and its list and its use both take it from `tool_scopes.standing.stand`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ledger.transaction import Reading
from tool_scopes.catalogue import Catalogue
from tool_scopes.offering import Offering
from tool_scopes.runs import Run
from tool_scopes.tables import workflow_versions
from tool_scopes.views import ViewTool
from tool_scopes.workflows import Step, Workflow, parse_workflow


@dataclass(frozen=True, slots=True)
class Scope:
    """The tools of one step by name, in the order in which they are listed."""

    workflow: str
    step: str
    tools: Mapping[str, ViewTool]


class Scopes:
    """The scopes of all workflow versions over what is offered now.

    What it remembers is derived from immutable texts and one state of the offering, so remembering never
    changes an answer.
    """

    def __init__(self, offering: Offering, catalogue: Catalogue, workflows: Mapping[str, Workflow]) -> None:
        self.offering = offering
        self._effects = catalogue.offered_effects()
        self._versions = {workflow.digest: workflow for workflow in workflows.values()}
        self._of_now: tuple[Mapping[str, ViewTool], dict[tuple[str, str], Scope]] = (offering.tools, {})

    def workflow_of(self, reading: Reading, run: Run) -> Workflow:
        """The version of the workflow that the run started with, also after the file has changed."""
        known = self._versions.get(run.workflow_digest)
        if known is None:
            row = reading.one(
                workflow_versions.select().where(workflow_versions.c.digest == run.workflow_digest)
            )
            assert row is not None, "runs.workflow_digest refers to workflow_versions"
            known = parse_workflow(row.source, path=f"{row.name} ({row.digest})", effects=self._effects)
            self._versions[run.workflow_digest] = known
        return known

    def scope(self, workflow: Workflow, step: Step) -> Scope:
        """The tools of `step`, in the deterministic order of their names."""
        key = (workflow.digest, step.name)
        offered, scopes = self._of_now
        if offered is not self.offering.tools:
            # Taken as a pair: other threads ask too, and must not mix the scopes of two offers.
            offered, scopes = self._of_now = (self.offering.tools, {})
        scope = scopes.get(key)
        if scope is None:
            tools = {name: offered[name] for name in sorted(step.tools) if name in offered}
            scope = scopes[key] = Scope(workflow.name, step.name, MappingProxyType(tools))
        return scope
