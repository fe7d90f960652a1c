"""Which agent an identity of an outside issuer is: an admin links (issuer, subject, client) to an agent that
is enrolled here.

So whoever comes with a token is the same principal as one that comes with a key: its runs, approvals, labels,
limits, freeze and revocation are the agent's. A link may ask for more claims, which must be there word for
word.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger.canonical import JsonObject, canonical
from ledger.entries import Entry
from ledger.statements import fixed, param
from ledger.transaction import AnyRow, Reading, Transaction
from policies.access_tokens import TokenIdentity
from policies.agents import agent_by_id
from policies.errors import EnrolmentRefused
from policies.gate_state import note_people
from policies.principals import Agent
from policies.tables import agent_links, agents

_LONGEST: Final = 255
_OF_IDENTITY = fixed(
    agent_links.select().where(
        agent_links.c.issuer == param("issuer"),
        agent_links.c.subject == param("subject"),
        agent_links.c.client == param("client"),
    )
)


@dataclass(frozen=True, slots=True)
class AgentLink:
    """An identity of an issuer, the agent that it is, and the further claims that it must bring."""

    issuer: str
    subject: str
    client: str
    agent: str
    claims: Mapping[str, str]

    def as_json(self) -> JsonObject:
        """As listings and the log have it."""
        return {
            "agent": self.agent,
            "issuer": self.issuer,
            "subject": self.subject,
            "client": self.client,
            "claims": dict(self.claims),
        }


def link_agent(tx: Transaction, link: AgentLink, *, by: str) -> None:
    """Let an identity be an agent from the next request on.

    Raises `EnrolmentRefused` when the identity is one already, or there is no such agent.
    """
    for what, text in (("issuer", link.issuer), ("subject", link.subject), ("client", link.client)):
        if not 0 < len(text) <= _LONGEST or not text.isprintable():
            raise EnrolmentRefused(f"The {what} of an identity is 1 to {_LONGEST} printable characters.")
    agent = agent_by_id(tx, link.agent)
    if agent is None:
        raise EnrolmentRefused(f"There is no agent {link.agent[:64]}; `bailiwick agent list` shows them.")
    # Said without the name: it may be an agent of another tenant.
    if tx.one(_OF_IDENTITY, _key(link)) is not None:
        raise EnrolmentRefused("This identity is linked to an agent already; unlink it there first.")
    row = {**_key(link), "agent": link.agent, "linked_ms": tx.now_ms}
    tx.execute(agent_links.insert(), row | {"claims": canonical(dict(link.claims)).decode()})
    note_people(tx, tx.append(Entry("agent.linked", agent.tenant, link.as_json(), principal=by)))


def unlink_agent(tx: Transaction, link: AgentLink, *, by: str) -> None:
    """End a link: the identity is nobody here from the next request on."""
    row = tx.one(
        agent_links.delete()
        .where(
            agent_links.c.agent == link.agent,
            agent_links.c.issuer == link.issuer,
            agent_links.c.subject == link.subject,
            agent_links.c.client == link.client,
        )
        .returning(agent_links.c.agent)
    )
    agent = tx.one(agents.select().where(agents.c.id == link.agent))
    if row is None or agent is None:
        raise EnrolmentRefused(
            f"That identity is not linked to {link.agent[:64]}; `bailiwick agent list --json` shows what is."
        )
    note_people(tx, tx.append(Entry("agent.unlinked", agent.tenant, link.as_json(), principal=by)))


def agent_of_identity(reading: Reading, identity: TokenIdentity) -> Agent | None:
    """The agent that a verified identity is, or None when it is none, lacks a claim, or was revoked."""
    row = reading.one(
        _OF_IDENTITY,
        {"issuer": identity.issuer, "subject": identity.subject, "client": identity.client},
    )
    if row is None:
        return None
    asked = _link(row).claims
    if any(identity.claims.get(name) != value for name, value in asked.items()):
        return None
    return agent_by_id(reading, row.agent)


def links_of(reading: Reading, agent_ids: Iterable[str]) -> list[AgentLink]:
    """The links of some agents, in a fixed order."""
    wanted = agent_links.select().where(agent_links.c.agent.in_(list(agent_ids)))
    order = (agent_links.c.agent, agent_links.c.issuer, agent_links.c.subject, agent_links.c.client)
    return [_link(row) for row in reading.all(wanted.order_by(*order))]


def _key(link: AgentLink) -> dict[str, Any]:
    return {"issuer": link.issuer, "subject": link.subject, "client": link.client}


def _link(row: AnyRow) -> AgentLink:
    return AgentLink(row.issuer, row.subject, row.client, row.agent, json.loads(row.claims))
