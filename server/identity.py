"""From a credential to a caller, on every transport. Without one there is nothing: no list, no call, no
anonymous mode.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.ids import is_id
from ledger.ledger import Ledger
from ledger.transaction import Reading
from policies.access_tokens import TokenIdentity
from policies.agent_links import agent_of_identity
from policies.agents import KEY_PREFIX, agent_by_id, agent_of_key
from tool_scopes.house import Caller
from tool_scopes.passes import PREFIX as PASS_PREFIX
from tool_scopes.passes import find_pass
from tool_scopes.runs import find_run


@dataclass(frozen=True, slots=True)
class Identity:
    """Resolves agent keys and step passes against the ledger, at each request: a revoked key is refused at
    once.
    """

    ledger: Ledger

    def caller(self, credential: str, now_ms: int) -> Caller | None:
        """Who holds this credential, or None. The answer says nothing of why not."""
        if is_id(KEY_PREFIX, credential):
            agent = self.ledger.read(lambda reading: agent_of_key(reading, credential))
            return None if agent is None else Caller(agent)
        if is_id(PASS_PREFIX, credential):
            return self.ledger.read(lambda reading: _caller_of_pass(reading, credential, now_ms))
        return None

    def caller_of(self, identity: TokenIdentity) -> Caller | None:
        """Which agent the identity of a verified access token is, or None."""
        agent = self.ledger.read(lambda reading: agent_of_identity(reading, identity))
        return None if agent is None else Caller(agent)


def _caller_of_pass(reading: Reading, credential: str, now_ms: int) -> Caller | None:
    step_pass = find_pass(reading, credential, now_ms)
    if step_pass is None:
        return None
    agent = agent_by_id(reading, step_pass.principal)
    run = find_run(reading, step_pass.run)
    if agent is None or run is None:
        return None
    return Caller(agent, workflow=run.workflow, step=step_pass.step, run=run.id, epoch=step_pass.epoch)
