"""The SQL tables of this floor: runs, step passes, observations, envelopes, reviews and executions.

They stand on the ledger's metadata, so that they change in the same transaction as the log. Every state that
must never exist is excluded by a CHECK or a unique index, because a constraint also holds for code that
nobody has written yet.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from ledger.tables import metadata

workflow_versions = Table(
    "workflow_versions",
    metadata,
    # A run keeps the version that it started with, so the text is kept for as long as the ledger.
    Column("digest", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("source", Text, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", String, primary_key=True),
    Column("tenant", String, nullable=False),
    # Who holds the run now, and whose idempotency key opened it: after a hand-over they are two.
    Column("principal", String, nullable=False),
    Column("opened_by", String, nullable=False),
    Column("workflow", String, nullable=False),
    Column("workflow_digest", String, ForeignKey("workflow_versions.digest"), nullable=False),
    Column("idempotency_key", String),
    Column("input_digest", String, nullable=False),
    Column("input", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("step", String, nullable=False),
    Column("epoch", Integer, nullable=False),
    # The epoch of the step's entry: a pause or a hand-over opens a new epoch and gives no new limits.
    Column("entered_epoch", Integer, nullable=False),
    Column("status", String, nullable=False),
    Column("retries", Integer, nullable=False),
    Column("calls", Integer, nullable=False),
    Column("deadline_ms", BigInteger),
    # What a person wrote when they sent the run back, for whoever does the step again.
    Column("note", Text),
    Column("release", Integer, nullable=False),
    Column("opened_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    # NULL keys are distinct in SQL: runs without a key never collide.
    UniqueConstraint("tenant", "opened_by", "workflow", "idempotency_key", name="one_run_for_a_key"),
    CheckConstraint(
        "status IN ('open', 'waiting', 'paused', 'done', 'failed', 'cancelled')", name="run_status"
    ),
    CheckConstraint("epoch >= 1 AND retries >= 0 AND calls >= 0 AND release >= 0", name="run_counts"),
    CheckConstraint("entered_epoch >= 1 AND entered_epoch <= epoch", name="run_step_was_entered"),
    CheckConstraint("deadline_ms IS NULL OR deadline_ms > opened_ms", name="run_deadline_is_later"),
    CheckConstraint("opened_ms >= 0 AND changed_ms >= opened_ms", name="run_times"),
    CheckConstraint("idempotency_key IS NULL OR length(idempotency_key) > 0", name="run_key_or_none"),
    Index("runs_by_deadline", "status", "deadline_ms"),
    Index("runs_of_principal", "principal", "status"),
)

retry_counts = Table(
    "retry_counts",
    metadata,
    # Refused envelopes of a principal about one subject of one workflow, over all its runs, since a human
    # last looked.
    Column("tenant", String, primary_key=True),
    Column("principal", String, primary_key=True),
    Column("workflow", String, primary_key=True),
    Column("subject", String, primary_key=True),
    Column("retries", Integer, nullable=False),
    CheckConstraint("retries >= 1", name="retry_counts_count"),
    CheckConstraint("subject LIKE 'sha256:%' AND length(subject) = 71", name="retry_counts_name_a_digest"),
)

triggers = Table(
    "triggers",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("tenant", String, nullable=False),
    Column("workflow", String, nullable=False),
    Column("agent", String, nullable=False),
    Column("event", String),
    Column("takes", Text, nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("removed_ms", BigInteger),
    CheckConstraint("length(name) > 0 AND length(tenant) > 0", name="triggers_have_names"),
    CheckConstraint("takes LIKE '{%}'", name="triggers_take_by_key"),
    CheckConstraint("made_ms >= 0 AND (removed_ms IS NULL OR removed_ms >= made_ms)", name="trigger_times"),
    # The name is part of a URL, so no two triggers that are there share one.
    Index(
        "one_trigger_of_a_name",
        "name",
        unique=True,
        sqlite_where=text("removed_ms IS NULL"),
        postgresql_where=text("removed_ms IS NULL"),
    ),
)

trigger_secrets = Table(
    "trigger_secrets",
    metadata,
    Column("id", String, primary_key=True),
    Column("trigger", String, ForeignKey("triggers.id"), nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger),
    CheckConstraint("length(salt) = 32 AND length(sealed) > 0", name="trigger_secrets_are_sealed"),
    CheckConstraint("made_ms >= 0 AND (until_ms IS NULL OR until_ms > 0)", name="trigger_secret_times"),
    Index("trigger_secrets_of_trigger", "trigger"),
)

step_passes = Table(
    "step_passes",
    metadata,
    Column("digest", String, primary_key=True),
    Column("run", String, ForeignKey("runs.id"), nullable=False),
    Column("principal", String, nullable=False),
    Column("step", String, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    CheckConstraint("length(digest) = 64", name="step_passes_are_digests"),
    CheckConstraint("epoch >= 1 AND expires_ms > 0", name="step_passes_end"),
)

observations = Table(
    "observations",
    metadata,
    Column("id", String, primary_key=True),
    Column("run", String, ForeignKey("runs.id"), nullable=False),
    Column("step", String, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("tool", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("digest", String, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    CheckConstraint("id LIKE 'obs-%'", name="observations_have_their_own_ids"),
    CheckConstraint("epoch >= 1 AND at_ms >= 0", name="observations_are_of_an_epoch"),
    CheckConstraint("digest LIKE 'sha256:%' AND length(digest) = 71", name="observations_name_a_digest"),
    Index("observations_of_run", "run"),
)

rereadings = Table(
    "rereadings",
    metadata,
    # Of a version that changed after the run was shown it: that the run has read its evidence anew since.
    Column("run", String, ForeignKey("runs.id"), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("version", String, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    CheckConstraint("epoch >= 1 AND version LIKE '_%@_%'", name="rereadings_are_of_a_version"),
)

envelopes = Table(
    "envelopes",
    metadata,
    Column("run", String, ForeignKey("runs.id"), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("step", String, nullable=False),
    Column("envelope", Text, nullable=False),
    Column("digest", String, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    CheckConstraint("epoch >= 1 AND at_ms >= 0", name="envelopes_are_of_an_epoch"),
    CheckConstraint("digest LIKE 'sha256:%' AND length(digest) = 71", name="envelopes_name_a_digest"),
)

reviews = Table(
    "reviews",
    metadata,
    Column("run", String, ForeignKey("runs.id"), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("step", String, nullable=False),
    Column("reasons", Text, nullable=False),
    # The step that the agent chose to go on to, for a human who lets it.
    Column("next", String),
    Column("resolution", String),
    Column("resolved_by", String),
    Column("note", Text),
    Column("at_ms", BigInteger, nullable=False),
    CheckConstraint(
        "resolution IS NULL OR resolution IN ('continue', 'send_back', 'stop')", name="review_resolution"
    ),
    CheckConstraint("(resolution IS NULL) = (resolved_by IS NULL)", name="review_resolved_by_somebody"),
    CheckConstraint("epoch >= 1 AND at_ms >= 0", name="review_is_of_an_epoch"),
)

sealed_arguments = Table(
    "sealed_arguments",
    metadata,
    Column("commitment", String, primary_key=True),
    Column("tenant", String, nullable=False),
    Column("run", String, ForeignKey("runs.id"), nullable=False),
    Column("tool", String, nullable=False),
    Column("argument", String, nullable=False),
    # Erased together: without the salt the commitment tells nothing, and the key cannot be made again.
    Column("salt", LargeBinary),
    Column("sealed", LargeBinary),
    Column("sealed_ms", BigInteger, nullable=False),
    Column("erased_ms", BigInteger),
    CheckConstraint("length(commitment) = 71 AND commitment LIKE 'sealed:%'", name="sealed_is_committed"),
    CheckConstraint(
        "(salt IS NULL) = (erased_ms IS NOT NULL) AND (sealed IS NULL) = (erased_ms IS NOT NULL)",
        name="sealed_or_erased",
    ),
    Index("sealed_arguments_of_run", "run", "tool", "argument"),
)

executions = Table(
    "executions",
    metadata,
    Column("id", String, primary_key=True),
    Column("tenant", String, nullable=False),
    Column("run", String, ForeignKey("runs.id"), nullable=False),
    Column("step", String, nullable=False),
    Column("epoch", Integer, nullable=False),
    # One redemption, one frame: no second execution can ever name the same request.
    Column("request", String, nullable=False, unique=True),
    Column("upstream", String, nullable=False),
    Column("tool", String, nullable=False),
    Column("target", String, nullable=False),
    Column("state", String, nullable=False),
    Column("instance", String, nullable=False),
    Column("lease_until_ms", BigInteger, nullable=False),
    Column("begun_ms", BigInteger, nullable=False),
    Column("settled_ms", BigInteger),
    CheckConstraint("state IN ('executing', 'succeeded', 'failed', 'in_doubt')", name="execution_state"),
    CheckConstraint("(state = 'executing') = (settled_ms IS NULL)", name="execution_settled_at"),
    CheckConstraint(
        "begun_ms >= 0 AND lease_until_ms > begun_ms AND (settled_ms IS NULL OR settled_ms >= begun_ms)",
        name="execution_times",
    ),
    CheckConstraint("epoch >= 1 AND length(request) > 0", name="execution_spends_a_request"),
    # At most one execution under way or in doubt for one target (design: The gate).
    Index(
        "one_execution_for_a_target",
        "tenant",
        "upstream",
        "target",
        unique=True,
        sqlite_where=text("state IN ('executing', 'in_doubt')"),
        postgresql_where=text("state IN ('executing', 'in_doubt')"),
    ),
    Index("executions_of_run", "run"),
)
