"""Proposed evidence: an agent may put a text before the curators, and do nothing more with it."""

from __future__ import annotations

from anyio import to_thread

from context_store.errors import ImportRefused
from context_store.importing import Imported, Intake, import_text
from ledger.ids import new_id
from policies.codes import Denial
from policies.decisions import propose_source as may_propose_source
from policies.gate_state import freeze_denial, read_gate
from tool_scopes.house import Answer, Caller, House
from tool_scopes.refusals import Refused, refuse
from tool_scopes.standing import Standing, stand


async def propose_source(
    house: House, caller: Caller, run_id: str | None, title: str, text: str
) -> Answer | Refused:
    """Keep a text as a draft of the agent's own. Only a curator's publication makes it evidence."""
    standing = house.ledger.read(lambda reading: stand(house, reading, caller, run_id))
    if isinstance(standing, Denial):
        return await refuse(house, caller, None, "propose_source", standing)
    agent = caller.agent
    frozen = freeze_denial(house.ledger.read(read_gate), agent.id)
    if frozen is not None:
        return await refuse(house, caller, standing.run.id, "propose_source", frozen)
    decision = house.policies.decide(may_propose_source(agent, agent.id, agent.tenant))
    if not decision.allowed:
        denied = Denial("policy_denied", reason=decision.reason)
        return await refuse(house, caller, standing.run.id, "propose_source", denied)
    try:
        imported = await to_thread.run_sync(_import, house, standing, title, text)
    except ImportRefused as error:
        wrong = Denial("invalid_arguments", reason=str(error), detail={"why": str(error)})
        return await refuse(house, caller, standing.run.id, "propose_source", wrong)
    return Answer("done", {"source": str(imported.id), "status": "draft"})


def _import(house: House, standing: Standing, title: str, text: str) -> Imported:
    agent = standing.caller.agent
    # The text comes from an agent, so it gets no front matter to speak with: the heading is ours.
    raw = f"# {' '.join(title.split())}\n\n{text}\n".encode()
    name = f"proposal-{new_id('p', standing.run.opened_ms)[-10:]}.md"
    return import_text(
        house.store,
        house.ledger,
        raw,
        name,
        f"run:{standing.run.id}",
        Intake(agent.tenant, agent.id, "agent"),
    )
