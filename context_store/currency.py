"""Whether what a run was shown still holds: asked by the gate in the transaction that redeems an approval.

One statement each. What was superseded, retired, has expired or is not valid yet has changed; so has what the
ledger does not know.
"""

from dataclasses import dataclass
from typing import Literal

from context_store.provenance import ProvenanceId
from context_store.quotes import Standing, standing_of
from context_store.tables import bundle_versions, bundles_shown, version_status
from ledger.statements import fixed, param
from ledger.transaction import AnyRow, Reading


@dataclass(frozen=True, slots=True)
class ChangedEvidence:
    """A version that a bundle quotes and that is no longer in force."""

    bundle: str
    version: ProvenanceId
    standing: Standing | Literal["unknown"]


_status = version_status.c
_CHANGED = fixed(
    bundle_versions.outerjoin(
        version_status,
        (bundle_versions.c.tenant == _status.tenant)
        & (bundle_versions.c.source == _status.source)
        & (bundle_versions.c.version == _status.version),
    )
    .join(bundles_shown, bundles_shown.c.bundle == bundle_versions.c.bundle)
    .select()
    .with_only_columns(
        bundle_versions.c.bundle,
        bundle_versions.c.source,
        bundle_versions.c.version,
        _status.status,
        _status.valid_from_ms,
        _status.valid_until_ms,
    )
    .where(bundles_shown.c.run == param("of_run"))
    .where(
        _status.status.is_(None)
        | (_status.status != "published")
        | (_status.valid_until_ms <= param("now_ms"))
        | (_status.valid_from_ms > param("now_ms"))
    )
    .distinct()
    .order_by(bundle_versions.c.bundle, bundle_versions.c.source, bundle_versions.c.version)
)


def changed_evidence(reading: Reading, run: str, now_ms: int) -> list[ChangedEvidence]:
    """What changed in all the bundles that a run was shown, in any step; empty if everything still holds."""
    rows = reading.all(_CHANGED, {"of_run": run, "now_ms": now_ms})
    return [_as_changed(row, now_ms) for row in rows]


def _as_changed(row: AnyRow, now_ms: int) -> ChangedEvidence:
    version = ProvenanceId(row.source, row.version)
    if row.status is None:
        return ChangedEvidence(row.bundle, version, "unknown")
    return ChangedEvidence(
        row.bundle, version, standing_of(row.status, row.valid_from_ms, row.valid_until_ms, now_ms)
    )
