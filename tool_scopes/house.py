"""What every operation of this floor works with, wired once by the server and passed in.

`House` holds no state of its own: everything that must survive or be shared stands in the ledger or in the
knowledge store, so any number of server processes can be one product.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from context_store.store import KnowledgeStore
from ledger.canonical import JsonObject
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from policies.codes import Denial
from policies.gate_state import GateState, gate_denial
from policies.in_force import PoliciesInForce
from policies.principals import Agent
from tool_scopes.catalogue import Catalogue
from tool_scopes.scopes import Scopes
from tool_scopes.tool_limits import ToolLimits
from tool_scopes.upstream.tools import UpstreamResult
from tool_scopes.views import ViewTool
from tool_scopes.workflows import Workflow
from tool_scopes.workflows_in_force import WorkflowsInForce


class CallableUpstream(Protocol):
    """What this floor asks of an upstream: one frame for each call."""

    @property
    def endpoint(self) -> str:
        """What names this upstream in canonical calls."""
        ...

    @property
    def failure(self) -> str | None:
        """Why no call can be sent now; None when it is ready."""
        ...

    async def call(self, tool: str, arguments: JsonObject, timeout_s: float) -> UpstreamResult:
        """Send exactly one frame and give its answer; raises UpstreamFailure."""
        ...


class HeadWitness(Protocol):
    """What this floor asks of a witness. Both raise a LedgerError when the write must not go on."""

    async def may_begin(self) -> None:
        """Before a write is redeemed."""
        ...

    async def follow(self) -> None:
        """Behind the commit that redeemed it, before its frame leaves."""
        ...


@dataclass(frozen=True, slots=True)
class House:
    """The ledger, the store, the gate's policies, the catalogue with its live upstreams, and the workflows by
    name.
    """

    ledger: Ledger
    store: KnowledgeStore
    ring: KeyRing
    policies: PoliciesInForce
    catalogue: Catalogue
    upstreams: Mapping[str, CallableUpstream]
    opened_with: WorkflowsInForce
    scopes: Scopes
    instance: str
    """Names this server process in the executions that it begins."""
    pass_lifetime_ms: int = 3_600_000
    witness: HeadWitness | None = None
    """Who must know of a write's head before its effect; None where the settings name no witness."""
    tool_limits: ToolLimits = field(default_factory=ToolLimits)
    """How busy the tools are in this process."""

    @property
    def workflows(self) -> Mapping[str, Workflow]:
        """What new runs are opened with, by name."""
        return self.opened_with.workflows

    def outdated(self, gate: GateState) -> Denial | None:
        """Why this server must not judge: its files are not those in force. None when they are."""
        return gate_denial(gate, self.policies.digest, self.catalogue.digest, self.opened_with.digest)

    def timeout_s(self, tool: ViewTool) -> float:
        """How long one call of this tool may take, in seconds: its upstream's limit."""
        return self.catalogue.upstreams[tool.view.upstream].timeout_s


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and what the credential or the URL already says about where.

    `run` and `epoch` come from a step pass; `workflow` and `step` come from a pass or from the URL.
    """

    agent: Agent
    workflow: str | None = None
    step: str | None = None
    run: str | None = None
    epoch: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation gives back when nothing was refused.

    `code` is `done`, or for an execution `failed` or `in_doubt`; `is_error` says that the tool did not do
    what was asked.
    """

    code: str
    body: JsonObject
    is_error: bool = False
