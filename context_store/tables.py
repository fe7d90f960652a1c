"""What the library keeps in the SQL ledger: what must change atomically with the log, or be joined with it at
redemption.

Texts live in DuckDB; here stand the releases, the status of every version, and the bundles that were served,
byte for byte. Everything is kept for each tenant by itself: releases are numbered in their tenant.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
)

from ledger.append_only import append_only
from ledger.tables import metadata

releases = Table(
    "releases",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("published_by", Text, nullable=False),
    CheckConstraint("number >= 1", name="releases_count_from_one"),
    CheckConstraint("at_ms >= 0 AND length(published_by) > 0", name="releases_are_published_by_somebody"),
)
"""Every publication.

Which versions a release holds follows from where versions were published and withdrawn.
"""

release_head = Table(
    "release_head",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("number", Integer, nullable=False),
    ForeignKeyConstraint(["tenant", "number"], ["releases.tenant", "releases.number"]),
)
"""The newest release of each tenant: what is above it does not exist yet. A tenant without a row has none."""

version_status = Table(
    "version_status",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("status", Text, nullable=False),
    Column("text_digest", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("reviewed_by", Text),
    Column("published_in", Integer),
    Column("withdrawn_in", Integer),
    Column("superseded_by", Text),
    Column("valid_from_ms", BigInteger),
    Column("valid_until_ms", BigInteger),
    Column("since_ms", BigInteger, nullable=False),
    CheckConstraint("version >= 1", name="version_status_counts_from_one"),
    CheckConstraint(
        "status IN ('draft', 'in_review', 'published', 'superseded', 'retired')",
        name="version_status_is_known",
    ),
    CheckConstraint(
        "status IN ('draft', 'in_review') OR (reviewed_by IS NOT NULL AND published_in IS NOT NULL)",
        name="version_status_published_only_after_review",
    ),
    CheckConstraint(
        "(status IN ('superseded', 'retired')) = (withdrawn_in IS NOT NULL)",
        name="version_status_withdrawn_in_a_release",
    ),
    CheckConstraint(
        "(status = 'superseded') = (superseded_by IS NOT NULL)", name="version_status_superseded_by_another"
    ),
    CheckConstraint("text_digest LIKE 'sha256:%'", name="version_status_names_a_digest"),
    CheckConstraint(
        "(published_in IS NULL OR published_in >= 1) "
        "AND (withdrawn_in IS NULL OR withdrawn_in >= published_in)",
        name="version_status_withdrawn_after_it_was_published",
    ),
    CheckConstraint(
        "since_ms >= 0 AND length(author) > 0 AND (reviewed_by IS NULL OR length(reviewed_by) > 0)",
        name="version_status_names_people",
    ),
    CheckConstraint(
        "valid_from_ms IS NULL OR valid_until_ms IS NULL OR valid_from_ms < valid_until_ms",
        name="version_status_validity_is_a_window",
    ),
)
"""Where every version stands. `since_ms` is when it came to stand there; `reviewed_by` is who accepted it."""

bundles = Table(
    "bundles",
    metadata,
    Column("bundle", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("release", Integer, nullable=False),
    Column("sufficiency", Text, nullable=False),
    Column("bytes", LargeBinary, nullable=False),
    CheckConstraint("bundle LIKE 'bnd\\_%' ESCAPE '\\'", name="bundles_have_their_own_ids"),
    CheckConstraint(
        "sufficiency IN ('sufficient', 'insufficient', 'contradictory', 'stale')",
        name="bundles_sufficiency_is_known",
    ),
    CheckConstraint("length(bytes) > 0 AND release >= 0", name="bundles_are_not_empty"),
    CheckConstraint("digest LIKE 'sha256:%' AND length(digest) = 71", name="bundles_name_a_digest"),
)
"""The canonical bytes of every bundle that was served, once."""

bundle_versions = Table(
    "bundle_versions",
    metadata,
    Column("bundle", Text, ForeignKey("bundles.bundle"), primary_key=True),
    Column("source", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("tenant", Text, nullable=False),
    CheckConstraint("version >= 1", name="bundle_versions_count_from_one"),
)
"""Which versions each bundle quotes, so that one join says which of them changed."""

bundles_shown = Table(
    "bundles_shown",
    metadata,
    Column("run", Text, primary_key=True),
    Column("bundle", Text, ForeignKey("bundles.bundle"), primary_key=True),
    Column("step", Text, primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    CheckConstraint("epoch >= 1 AND at_ms >= 0", name="bundles_shown_are_of_an_epoch"),
)
"""Which run was shown which bundle, in which step and epoch; the first time counts."""

Index(
    "bundle_versions_by_version",
    bundle_versions.c.tenant,
    bundle_versions.c.source,
    bundle_versions.c.version,
)

for _table in (releases, bundles, bundle_versions, bundles_shown):
    append_only(_table)
