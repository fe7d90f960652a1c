"""The SQL tables of the gate: people and their keys, agents and theirs, approval requests, verdicts, the
gate's state.

They stand on the ledger's metadata, so they change in one transaction with the log. What must never be is
excluded by a CHECK or a unique index, which also holds for code that nobody has written yet. What a table
says is still not proof: signatures are.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    text,
)

from ledger.append_only import append_only
from ledger.statements import fixed
from ledger.tables import log, metadata

people = Table(
    "people",
    metadata,
    Column("id", String, primary_key=True),
    Column("tenant", String, nullable=False),
    Column("roles", Text, nullable=False),  # canonical JSON list
    Column("aliases", Text, nullable=False),  # canonical JSON list
    Column("enrolled_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger),
    CheckConstraint("length(id) BETWEEN 1 AND 63 AND length(tenant) BETWEEN 1 AND 63", name="people_ids"),
    CheckConstraint("roles LIKE '[%]' AND aliases LIKE '[%]'", name="people_have_lists"),
    CheckConstraint(
        "enrolled_ms >= 0 AND (revoked_ms IS NULL OR revoked_ms >= enrolled_ms)", name="people_times"
    ),
)

person_keys = Table(
    "person_keys",
    metadata,
    Column("kid", String, primary_key=True),
    Column("person", String, ForeignKey("people.id"), nullable=False),
    # One key under two names would be two people to a count of names.
    Column("public_key", String, nullable=False, unique=True),
    Column("enrolled_seq", BigInteger, ForeignKey("log.seq"), nullable=False),
    Column("enrolled_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger),
    CheckConstraint("length(kid) = 16 AND length(public_key) = 43", name="person_keys_are_ed25519"),
    CheckConstraint(
        "enrolled_ms >= 0 AND (revoked_ms IS NULL OR revoked_ms >= enrolled_ms)", name="person_keys_times"
    ),
)

trust_root = Table(
    "trust_root",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("kid", String, nullable=False),
    Column("seq", BigInteger, ForeignKey("log.seq"), nullable=False),
    CheckConstraint("id = 1", name="trust_root_is_one"),
    CheckConstraint("length(kid) = 16", name="trust_root_is_a_key"),
)
"""The first admin's key, to which every enrolment leads back, and the log entry that says so. Never
changed.
"""

append_only(trust_root)

server_key_vouchers = Table(
    "server_key_vouchers",
    metadata,
    Column("kid", String, primary_key=True),
    Column("seq", BigInteger, ForeignKey("log.seq"), nullable=False),
    CheckConstraint("length(kid) = 16", name="server_key_vouchers_name_a_key"),
)
"""Which log entry holds an admin's signature for a key of the server itself."""

append_only(server_key_vouchers)

agents = Table(
    "agents",
    metadata,
    Column("id", String, primary_key=True),
    Column("tenant", String, nullable=False),
    Column("owner", String, ForeignKey("people.id"), nullable=False),
    Column("labels", Text, nullable=False, server_default="[]"),  # canonical JSON list
    Column("enrolled_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger),
    CheckConstraint("length(id) BETWEEN 1 AND 63 AND length(tenant) BETWEEN 1 AND 63", name="agents_ids"),
    CheckConstraint(
        "enrolled_ms >= 0 AND (revoked_ms IS NULL OR revoked_ms >= enrolled_ms)", name="agents_times"
    ),
)

agent_keys = Table(
    "agent_keys",
    metadata,
    Column("digest", String, primary_key=True),
    Column("agent", String, ForeignKey("agents.id"), nullable=False),
    Column("issued_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger),
    CheckConstraint("length(digest) = 64", name="agent_keys_are_digests"),
    CheckConstraint(
        "issued_ms >= 0 AND (revoked_ms IS NULL OR revoked_ms >= issued_ms)", name="agent_keys_times"
    ),
)

Index("agent_keys_by_agent", agent_keys.c.agent)

agent_links = Table(
    "agent_links",
    metadata,
    # One identity is one agent, whichever tenant it belongs to.
    Column("issuer", String, primary_key=True),
    Column("subject", String, primary_key=True),
    Column("client", String, primary_key=True),
    Column("agent", String, ForeignKey("agents.id"), nullable=False),
    Column("claims", Text, nullable=False),  # canonical JSON object
    Column("linked_ms", BigInteger, nullable=False),
    CheckConstraint(
        "length(issuer) > 0 AND length(subject) > 0 AND length(client) > 0", name="agent_links_name_somebody"
    ),
    CheckConstraint("claims LIKE '{%}' AND linked_ms >= 0", name="agent_links_have_claims"),
)
"""Identities of outside issuers, and the agents that they are."""

Index("agent_links_by_agent", agent_links.c.agent)

STATES = (
    *("pending", "approved", "denied", "revoked", "expired"),
    *("executing", "succeeded", "failed", "in_doubt"),
)
"""Every state of an approval request."""

approval_requests = Table(
    "approval_requests",
    metadata,
    Column("id", String, primary_key=True),
    Column("tenant", String, nullable=False),
    Column("principal", String, nullable=False),
    Column("owner", String, nullable=False),
    Column("run", String, nullable=False),
    Column("upstream", String, nullable=False),
    Column("target", String, nullable=False),
    Column("core_key", String, nullable=False),
    # A signature is over the digest; were two requests to share one, it would count for both.
    Column("digest", String, nullable=False, unique=True),
    Column("token_digest", String, nullable=False, unique=True),
    Column("call", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("created_seq", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("execution", String, unique=True),
    CheckConstraint("state IN ('" + "', '".join(STATES) + "')", name="approval_state"),
    CheckConstraint(
        "(execution IS NOT NULL) = (state IN ('executing', 'succeeded', 'failed', 'in_doubt'))",
        name="approval_spent_by_an_execution",
    ),
    CheckConstraint(
        "expires_ms > created_ms AND created_ms >= 0 AND created_seq >= 1", name="approval_times"
    ),
    CheckConstraint(
        "digest LIKE 'sha256:%' AND length(digest) = 71 AND length(token_digest) = 64",
        name="approval_digests",
    ),
    CheckConstraint("execution IS NULL OR length(execution) > 0", name="approval_names_an_execution"),
)

_OPEN = text("state IN ('pending', 'approved')")
_UNFINISHED = text("state IN ('executing', 'in_doubt')")

Index(
    "one_open_request_for_a_call",
    approval_requests.c.core_key,
    unique=True,
    sqlite_where=_OPEN,
    postgresql_where=_OPEN,
)
Index(
    "one_unfinished_write_on_a_target",
    approval_requests.c.tenant,
    approval_requests.c.upstream,
    approval_requests.c.target,
    unique=True,
    sqlite_where=_UNFINISHED,
    postgresql_where=_UNFINISHED,
)
Index("approval_requests_by_run", approval_requests.c.run)
Index("approval_requests_by_principal", approval_requests.c.principal, approval_requests.c.state)

verdicts = Table(
    "verdicts",
    metadata,
    Column("request", String, ForeignKey("approval_requests.id"), primary_key=True),
    Column("kid", String, primary_key=True),
    Column("verdict", String, primary_key=True),
    Column("request_digest", String, nullable=False),
    Column("reviewer", String, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("signature", String, nullable=False),
    CheckConstraint("verdict IN ('approve', 'deny')", name="verdict_is_one_of_two"),
    CheckConstraint(
        "length(kid) = 16 AND length(signature) = 86 AND length(reviewer) > 0 AND at_ms >= 0",
        name="verdict_is_signed_by_somebody",
    ),
    CheckConstraint(
        "request_digest LIKE 'sha256:%' AND length(request_digest) = 71", name="verdict_is_about_a_digest"
    ),
)

gate_state = Table(
    "gate_state",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("generation", Integer, nullable=False),
    Column("policy", String, nullable=False),
    Column("catalogue", String, nullable=False),
    Column("tools", String, nullable=False),
    Column("workflows", String, nullable=False),
    Column("people", String, nullable=False),
    Column("releases", Text, nullable=False),  # canonical JSON object: tenant → release
    Column("frozen", Text, nullable=False),  # canonical JSON object: what stands still → why
    CheckConstraint("id = 1", name="gate_state_is_one"),
    CheckConstraint("generation >= 1", name="gate_state_generation"),
    CheckConstraint("releases LIKE '{%}' AND frozen LIKE '{%}'", name="gate_state_objects"),
)

gate_contents = Table(
    "gate_contents",
    metadata,
    Column("part", String, primary_key=True),
    Column("content", Text, nullable=False),
    CheckConstraint("part IN ('policy', 'tools', 'workflows')", name="gate_contents_part"),
)
"""What is in force, word for word, so that what is to come into force can be compared with it. Each content
is held to its digest in `gate_state`.
"""

gate_agreements = Table(
    "gate_agreements",
    metadata,
    Column("part", String, primary_key=True),
    Column("base", String, primary_key=True),
    Column("digest", String, primary_key=True),
    Column("act", String, nullable=False),
    CheckConstraint(
        "part IN ('tools', 'workflows') AND digest LIKE 'sha256:%' AND base <> digest",
        name="gate_agreement_is_a_change",
    ),
    CheckConstraint("length(act) > 0", name="gate_agreement_names_its_act"),
)
"""Two people agreed by an act that the tools, or the workflows, `digest` may replace those of `base`. Taken
away when others come into force.
"""

second_admin = Table(
    "second_admin",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, ForeignKey("log.seq"), nullable=False),
    CheckConstraint("id = 1", name="second_admin_is_one"),
)
"""The log entry that enrolled the second human as an admin. From then on lowering the gate takes two. Never
changed.
"""

append_only(second_admin)

ACT_STATES = ("proposed", "signed", "done", "failed", "withdrawn")

gate_acts = Table(
    "gate_acts",
    metadata,
    Column("id", String, primary_key=True),
    Column("op", String, nullable=False),
    Column("args", Text, nullable=False),
    Column("digest", String, nullable=False),
    Column("lowers", Text, nullable=False),  # canonical JSON list of sentences
    Column("tenant", String, nullable=False),
    Column("proposed_by", String, nullable=False),
    Column("proposed_kid", String, nullable=False),
    Column("asked", Text, nullable=False),  # canonical JSON: the operation as its proposer signed it
    Column("proposed_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("state", String, nullable=False),
    Column("signed_by", String),
    Column("signed_kid", String),
    CheckConstraint("state IN ('" + "', '".join(ACT_STATES) + "')", name="gate_act_state"),
    CheckConstraint(
        "state NOT IN ('signed', 'done', 'failed') OR (signed_by IS NOT NULL AND signed_kid IS NOT NULL "
        "AND signed_by <> proposed_by AND signed_kid <> proposed_kid)",
        name="gate_act_of_two",
    ),
    CheckConstraint("expires_ms > proposed_ms", name="gate_act_times"),
    CheckConstraint("asked LIKE '{%}'", name="gate_act_was_asked_for"),
)
"""Acts that lower the gate, proposed by one admin and signed by another."""

TOLD_OF_THE_GATE = (
    *("act.alone", "act.proposed", "act.signed"),
    *("agent.enrolled", "agent.labelled", "agent_key.revoked", "person.enrolled", "person.revoked"),
    *("gate.frozen", "gate.loaded", "gate.unfrozen", "release.published", "server_key.vouched"),
)
"""The kinds of log entries from which the gate's state can be proven; they are few among very many."""

_OF_THE_GATE = text("kind IN ('" + "', '".join(TOLD_OF_THE_GATE) + "')")

Index("log_of_the_gate", log.c.seq, sqlite_where=_OF_THE_GATE, postgresql_where=_OF_THE_GATE)

ENTRIES_OF_THE_GATE = fixed(
    log.select().with_only_columns(log.c.seq, log.c.entry).where(_OF_THE_GATE).order_by(log.c.seq)
)
"""Those entries in their order, by the index over them."""
