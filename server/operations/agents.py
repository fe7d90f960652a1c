"""Agents as operations: enrolling one gives its key, once."""

from __future__ import annotations

from pydantic import Field

from ledger.canonical import JsonObject, JsonValue
from ledger.clock import rfc3339
from ledger.transaction import Reading, Transaction
from policies.agent_links import AgentLink, link_agent, links_of, unlink_agent
from policies.agents import EnrolledAgent, agent_by_id, enrol_agent, list_agents, revoke_agent, set_labels
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


class Linked(Arguments):
    """An agent, and an identity of an issuer; without an issuer it is the one in the settings."""

    agent: str = Field(max_length=64)
    subject: str = Field(max_length=255)
    client: str = Field(max_length=255)
    issuer: str | None = Field(default=None, max_length=255)
    claims: dict[str, str] = Field(default_factory=dict[str, str], max_length=16)


class OneAgent(Arguments):
    """An agent by its id."""

    agent: str = Field(max_length=64)


def _add(desk: OperationDesk, admin: Person, given: AddAgent) -> JsonObject:
    agent = Agent(given.agent, admin.tenant, given.owner or admin.id, frozenset(given.labels))
    key = desk.ledger.transact_now(lambda tx: enrol_agent(tx, agent, by=admin.id))
    return {"agent": agent.id, "owner": agent.owner, "key": key}


def _list(desk: OperationDesk, asking: Person, _given: NoArguments) -> JsonObject:
    def look(reading: Reading) -> tuple[list[EnrolledAgent], list[AgentLink]]:
        found = list_agents(reading, asking.tenant)
        return found, links_of(reading, [enrolled.agent.id for enrolled in found])

    found, links = desk.ledger.read(look)
    return {
        "agents": [
            {
                "agent": enrolled.agent.id,
                "owner": enrolled.agent.owner,
                "tenant": enrolled.agent.tenant,
                "labels": list[JsonValue](sorted(enrolled.agent.labels)),
                "links": [link.as_json() for link in links if link.agent == enrolled.agent.id],
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


def _link(desk: OperationDesk, admin: Person, given: Linked) -> JsonObject:
    link = _named(desk, given)

    def work(tx: Transaction) -> None:
        _refuse_unknown(tx, admin, given.agent)
        link_agent(tx, link, by=admin.id)

    desk.ledger.transact_now(work)
    return link.as_json()


def _unlink(desk: OperationDesk, admin: Person, given: Linked) -> JsonObject:
    link = _named(desk, given)

    def work(tx: Transaction) -> None:
        _refuse_unknown(tx, admin, given.agent)
        unlink_agent(tx, link, by=admin.id)

    desk.ledger.transact_now(work)
    return link.as_json()


def _named(desk: OperationDesk, given: Linked) -> AgentLink:
    issuer = given.issuer or desk.settings.oauth_issuer
    if issuer is None:
        raise BadInput("Say whose identity it is with --issuer, or set oauth_issuer for the server.")
    return AgentLink(issuer, given.subject, given.client, given.agent, given.claims)


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
    Operation("agent.link", Linked, "admin", _link),
    Operation("agent.unlink", Linked, "admin", _unlink),
    Operation("agent.revoke", OneAgent, "admin", _revoke),
)
