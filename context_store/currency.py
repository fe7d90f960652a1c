"""Whether what a run was shown still holds: asked by the gate in the transaction that redeems an approval.

One statement each. What was superseded, retired, has expired or is not valid yet has changed; so has what the
ledger does not know.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from context_store.provenance import ProvenanceId
from context_store.quotes import Standing, standing_of
from context_store.tables import bundle_versions, bundles_shown, version_status
from ledger.transaction import AnyRow, Reading


@dataclass(frozen=True, slots=True)
class ChangedEvidence:
    """A version that a bundle quotes and that is no longer in force."""

    bundle: str
    version: ProvenanceId
    standing: Standing | Literal["unknown"]


def changed_evidence(reading: Reading, run: str, now_ms: int) -> list[ChangedEvidence]:
    """What changed in all the bundles that a run was shown, in any step; empty if everything still holds."""
    shown = _QUOTED.join(bundles_shown, bundles_shown.c.bundle == bundle_versions.c.bundle)
    return _changed(reading, shown, bundles_shown.c.run == run, now_ms)


def changed_in(reading: Reading, bundles: Collection[str], now_ms: int) -> list[ChangedEvidence]:
    """What changed in some bundles, whoever was shown them."""
    return _changed(reading, _QUOTED, bundle_versions.c.bundle.in_(sorted(bundles)), now_ms)


_QUOTED = bundle_versions.outerjoin(
    version_status,
    (bundle_versions.c.tenant == version_status.c.tenant)
    & (bundle_versions.c.source == version_status.c.source)
    & (bundle_versions.c.version == version_status.c.version),
)


def _changed(reading: Reading, rows: Any, condition: Any, now_ms: int) -> list[ChangedEvidence]:
    status = version_status.c
    query = (
        rows.select()
        .with_only_columns(
            bundle_versions.c.bundle,
            bundle_versions.c.source,
            bundle_versions.c.version,
            status.status,
            status.valid_from_ms,
            status.valid_until_ms,
        )
        .where(condition)
        .where(
            status.status.is_(None)
            | (status.status != "published")
            | (status.valid_until_ms <= now_ms)
            | (status.valid_from_ms > now_ms)
        )
        .distinct()
        .order_by(bundle_versions.c.bundle, bundle_versions.c.source, bundle_versions.c.version)
    )
    return [_as_changed(row, now_ms) for row in reading.all(query)]


def _as_changed(row: AnyRow, now_ms: int) -> ChangedEvidence:
    version = ProvenanceId(row.source, row.version)
    if row.status is None:
        return ChangedEvidence(row.bundle, version, "unknown")
    return ChangedEvidence(
        row.bundle, version, standing_of(row.status, row.valid_from_ms, row.valid_until_ms, now_ms)
    )
