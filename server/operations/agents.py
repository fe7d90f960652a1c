"""Agents as operations: enrolling one gives its key, once."""

from __future__ import annotations

from pydantic import Field

from ledger.canonical import JsonObject, JsonValue
from ledger.clock import rfc3339
from ledger.transaction import Reading, Transaction
from policies.agents import agent_by_id, enrol_agent, list_agents, revoke_agent, set_labels
from policies.principals import Agent, Person
from server.errors import BadInput
from server.operations.operation import Arguments, NoArguments, Operation, OperationDesk


class AddAgent(Arguments):
    """An agent, and the person who answers for it: without one, whoever asks."""

    agent: str = Field(max_length=64)
    owner: str | None = Field(default=None, max_length=64)
    labels: list[str] = Field(default_factory=list[str], max_length=64)


class AgentLabels(Arguments):
    """An agent by its id, and every label that it holds from now on."""

    agent: str = Field(max_length=64)
    labels: list[str] = Field(max_length=64)


class OneAgent(Arguments):
    """An agent by its id."""

    agent: str = Field(max_length=64)


def _add(desk: OperationDesk, admin: Person, given: AddAgent) -> JsonObject:
    agent = Agent(given.agent, admin.tenant, given.owner or admin.id, frozenset(given.labels))
    key = desk.ledger.transact_now(lambda tx: enrol_agent(tx, agent, by=admin.id))
    return {"agent": agent.id, "owner": agent.owner, "key": key}


def _list(desk: OperationDesk, asking: Person, _given: NoArguments) -> JsonObject:
    found = desk.ledger.read(lambda reading: list_agents(reading, asking.tenant))
    return {
        "agents": [
            {
                "agent": enrolled.agent.id,
                "owner": enrolled.agent.owner,
                "tenant": enrolled.agent.tenant,
                "labels": list[JsonValue](sorted(enrolled.agent.labels)),
                "enrolled": rfc3339(enrolled.enrolled_ms),
                "revoked": None if enrolled.revoked_ms is None else rfc3339(enrolled.revoked_ms),
            }
            for enrolled in found
        ]
    }


def _labels(desk: OperationDesk, admin: Person, given: AgentLabels) -> JsonObject:
    def label(tx: Transaction) -> None:
        _refuse_unknown(tx, admin, given.agent)
        set_labels(tx, given.agent, frozenset(given.labels), by=admin.id)

    desk.ledger.transact_now(label)
    return {"agent": given.agent, "labels": list[JsonValue](sorted(set(given.labels)))}


def _refuse_unknown(reading: Reading, admin: Person, agent: str) -> None:
    known = agent_by_id(reading, agent)
    if known is None or known.tenant != admin.tenant:
        raise BadInput(f"There is no agent {agent}; `bailiwick agent list` shows those that there are.")


def _revoke(desk: OperationDesk, admin: Person, given: OneAgent) -> JsonObject:
    def revoke(tx: Transaction) -> None:
        _refuse_unknown(tx, admin, given.agent)
        revoke_agent(tx, given.agent, by=admin.id)

    desk.ledger.transact_now(revoke)
    return {"agent": given.agent}


OPERATIONS = (
    Operation("agent.add", AddAgent, "admin", _add),
    Operation("agent.list", NoArguments, "person", _list, logged=False),
    Operation("agent.labels", AgentLabels, "admin", _labels),
    Operation("agent.revoke", OneAgent, "admin", _revoke),
)
