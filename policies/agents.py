"""Agents and their keys: who may call, and how a credential becomes an agent.

A key is shown once and kept as its SHA-256. A plain hash is enough: the key has 130 random bits, so there is
nothing to guess, and looking up a digest tells a timing observer nothing about a key that they could choose.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from ledger.canonical import JsonObject, JsonValue, canonical
from ledger.entries import Entry
from ledger.ids import random_token
from ledger.statements import fixed, param
from ledger.transaction import AnyRow, Reading, Transaction
from policies.errors import EnrolmentRefused
from policies.gate_state import note_people
from policies.principals import Agent, require_id
from policies.tables import agent_keys, agents, people

KEY_PREFIX = "bwk"
_NO_LABELS = frozenset[str]()


_BY_ID = fixed(agents.select().where(agents.c.id == param("agent"), agents.c.revoked_ms.is_(None)))
_OF_KEY = fixed(
    agent_keys.join(agents, agents.c.id == agent_keys.c.agent)
    .select()
    .with_only_columns(agents.c.id, agents.c.tenant, agents.c.owner, agents.c.labels)
    .where(
        agent_keys.c.digest == param("key"), agent_keys.c.revoked_ms.is_(None), agents.c.revoked_ms.is_(None)
    )
)


@dataclass(frozen=True, slots=True)
class EnrolledAgent:
    """An agent as listings show it. Times are milliseconds since the epoch."""

    agent: Agent
    enrolled_ms: int
    revoked_ms: int | None


def enrol_agent(tx: Transaction, agent: Agent, *, by: str) -> str:
    """Enrol an agent of a tenant, with its first key, which is returned once and stored nowhere.

    It holds the access labels of `agent`, and no others.

    Raises `EnrolmentRefused` when the id is taken or the owner is no person of the same tenant.
    """
    require_id(agent.id, "an agent")
    require_id(agent.tenant, "a tenant")
    _require_labels(agent.labels)
    if tx.one(agents.select().where(agents.c.id == agent.id)) is not None:
        raise EnrolmentRefused(f"There is an agent {agent.id} already; choose another id.")
    if tx.one(people.select().where(people.c.id == agent.id)) is not None:
        raise EnrolmentRefused(f"{agent.id} is a person; an agent needs an id of its own.")
    owner = tx.one(people.select().where(people.c.id == agent.owner))
    if owner is None or owner.revoked_ms is not None or owner.tenant != agent.tenant:
        raise EnrolmentRefused(
            f"{agent.owner} is no person of tenant {agent.tenant}; an agent needs a human owner there."
        )
    row = {"id": agent.id, "tenant": agent.tenant, "owner": agent.owner, "enrolled_ms": tx.now_ms}
    tx.execute(agents.insert(), row | {"labels": _as_text(agent.labels)})
    body: JsonObject = {"agent": agent.id, "owner": agent.owner, "labels": _listed(agent.labels)}
    note_people(tx, tx.append(Entry("agent.enrolled", agent.tenant, body, principal=by)))
    return issue_key(tx, agent.id, by=by)


def issue_key(tx: Transaction, agent_id: str, *, by: str) -> str:
    """A further key for an agent, shown once. The older ones stay good until they are revoked."""
    row = tx.one(agents.select().where(agents.c.id == agent_id, agents.c.revoked_ms.is_(None)))
    if row is None:
        raise EnrolmentRefused(
            f"There is no agent {agent_id[:64]}; `bailiwick agent list` shows those that there are."
        )
    key = random_token(KEY_PREFIX)
    tx.execute(agent_keys.insert(), {"digest": key_digest(key), "agent": agent_id, "issued_ms": tx.now_ms})
    body: JsonObject = {"agent": agent_id, "key": key_digest(key)[:16]}
    tx.append(Entry("agent_key.issued", row.tenant, body, principal=by))
    return key


def revoke_agent(tx: Transaction, agent_id: str, *, by: str) -> None:
    """End an agent: its keys and passes open nothing from the next request on."""
    row = tx.one(
        agents.update()
        .where(agents.c.id == agent_id, agents.c.revoked_ms.is_(None))
        .values(revoked_ms=tx.now_ms)
        .returning(agents)
    )
    if row is None:
        raise EnrolmentRefused(
            f"There is no agent {agent_id[:64]} to revoke; `bailiwick agent list` shows them."
        )
    open_keys = agent_keys.update().where(agent_keys.c.agent == agent_id, agent_keys.c.revoked_ms.is_(None))
    tx.execute(open_keys.values(revoked_ms=tx.now_ms))
    body: JsonObject = {"agent": agent_id, "keys": "all"}
    note_people(tx, tx.append(Entry("agent_key.revoked", row.tenant, body, principal=by)))


def set_labels(tx: Transaction, agent_id: str, labels: frozenset[str], *, by: str) -> None:
    """Say which access labels an agent holds from now on, in place of those that it held."""
    _require_labels(labels)
    row = tx.one(
        agents.update()
        .where(agents.c.id == agent_id, agents.c.revoked_ms.is_(None))
        .values(labels=_as_text(labels))
        .returning(agents)
    )
    if row is None:
        raise EnrolmentRefused(
            f"There is no agent {agent_id[:64]}; `bailiwick agent list` shows those that there are."
        )
    body: JsonObject = {"agent": agent_id, "labels": _listed(labels)}
    note_people(tx, tx.append(Entry("agent.labelled", row.tenant, body, principal=by)))


def agent_of_key(reading: Reading, key: str) -> Agent | None:
    """The agent that this key is one of, or None when it is none, or was revoked."""
    row = reading.one(_OF_KEY, {"key": key_digest(key)})
    return None if row is None else _agent(row)


def agent_by_id(reading: Reading, agent_id: str) -> Agent | None:
    """The agent with this id, unless it was revoked."""
    row = reading.one(_BY_ID, {"agent": agent_id})
    return None if row is None else _agent(row)


def list_agents(reading: Reading, tenant: str) -> list[EnrolledAgent]:
    """Every agent of a tenant by id, revoked ones too."""
    rows = reading.all(agents.select().where(agents.c.tenant == tenant).order_by(agents.c.id))
    return [EnrolledAgent(_agent(row), row.enrolled_ms, row.revoked_ms) for row in rows]


def key_digest(key: str) -> str:
    """The form in which the ledger knows a key: its SHA-256 in hexadecimal."""
    return hashlib.sha256(key.encode()).hexdigest()


def _agent(row: AnyRow) -> Agent:
    return Agent(row.id, row.tenant, row.owner, _labels(row.labels))


def _labels(text: str) -> frozenset[str]:
    return _NO_LABELS if text == "[]" else frozenset(cast("list[str]", json.loads(text)))


def _require_labels(labels: Iterable[str]) -> None:
    for label in labels:
        require_id(label, "a label")


def _listed(labels: Iterable[str]) -> list[JsonValue]:
    return list[JsonValue](sorted(labels))


def _as_text(labels: Iterable[str]) -> str:
    return canonical(_listed(labels)).decode()
