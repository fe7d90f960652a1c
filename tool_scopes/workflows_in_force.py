"""The workflows that new runs are opened with in this process, and their change while work goes on.

A run that is open goes on with the version that it started with.
"""

from __future__ import annotations

from collections.abc import Mapping

from tool_scopes.workflows import Workflow


class WorkflowsInForce:
    """The workflows by name and the digest that names all of them; both change at once."""

    __slots__ = ("_now",)

    def __init__(self, workflows: Mapping[str, Workflow], digest: str) -> None:
        self._now = (workflows, digest)

    @property
    def workflows(self) -> Mapping[str, Workflow]:
        """Those that can be opened."""
        return self._now[0]

    @property
    def digest(self) -> str:
        """Names their files, as the gate's state does."""
        return self._now[1]

    def replace(self, workflows: Mapping[str, Workflow], digest: str) -> None:
        """From now on these are opened. The caller has brought them into force in the ledger."""
        self._now = (workflows, digest)
