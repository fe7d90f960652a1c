"""What was shown: bundles as they were served, to whoever may look at them again, and which run saw what."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from context_store.bundles import Sufficiency, bundle_digest, bundle_id
from context_store.errors import StoreUnavailable
from context_store.grants import CurationGrant, ReadGrant
from context_store.provenance import ProvenanceId
from context_store.quotes import standing_in
from context_store.store import KnowledgeStore
from context_store.tables import bundle_versions, bundles, bundles_shown
from ledger.canonical import JsonObject
from ledger.statements import fixed, param
from ledger.transaction import Reading

_SHOWN = fixed(
    bundles_shown.join(bundles, bundles.c.bundle == bundles_shown.c.bundle)
    .select()
    .with_only_columns(
        bundles.c.bundle,
        bundles.c.digest,
        bundles_shown.c.step,
        bundles_shown.c.epoch,
        bundles.c.sufficiency,
    )
    .where(bundles_shown.c.run == param("of_run"))
    .order_by(bundles_shown.c.at_ms, bundles_shown.c.epoch, bundles.c.bundle)
)


@dataclass(frozen=True, slots=True)
class Shown:
    """That a run was shown a bundle, in which step and epoch, and how sufficient it was."""

    bundle: str
    digest: str
    step: str
    epoch: int
    sufficiency: Sufficiency


def read_bundle(reading: Reading, grant: ReadGrant | CurationGrant, bundle: str) -> bytes | None:
    """The bytes of a bundle: for a run, of those it was shown; for people of the tenant, of any.

    None is absent and withheld alike.

    Raises `StoreUnavailable` when the stored bytes are not those that the id names.
    """
    query = bundles.select().where((bundles.c.bundle == bundle) & (bundles.c.tenant == grant.tenant))
    if isinstance(grant, ReadGrant):
        if grant.run is None:
            return None
        own = (
            bundles_shown.select()
            .with_only_columns(bundles_shown.c.bundle)
            .where(bundles_shown.c.run == grant.run)
        )
        query = query.where(bundles.c.bundle.in_(own))
    row = reading.one(query)
    if row is None:
        return None
    raw = bytes(row.bytes)
    if bundle_digest(raw) != row.digest or bundle_id(row.digest) != bundle:
        raise StoreUnavailable(
            f"The stored bytes of {bundle} are not those that were served; verify the ledger."
        )
    return raw


def check_quotes(
    store: KnowledgeStore, reading: Reading, grant: CurationGrant, raw: bytes, now_ms: int
) -> list[JsonObject]:
    """For each item of a stored bundle: whether its quote is what its id names, word for word, and how that
    version stands now.
    """
    body = cast("dict[str, list[dict[str, str]]]", json.loads(raw))
    found: list[JsonObject] = []
    for item in body["items"]:
        cited = ProvenanceId.parse(item["id"])
        row = None
        if cited is not None and cited.span is not None:
            with store.reading() as cursor:
                row = cursor.execute(
                    """SELECT substr(text, $first + 1, $last - $first) FROM versions
                    WHERE tenant = $tenant AND source = $source AND version = $version""",
                    {
                        "tenant": grant.tenant,
                        "source": cited.source,
                        "version": cited.version,
                        "first": cited.span[0],
                        "last": cited.span[1],
                    },
                ).fetchone()
        exact = row is not None and row[0] == item["quote"]
        standing = None if cited is None else standing_in(reading, grant.tenant, cited, now_ms)
        found.append({"id": item["id"], "exact": exact, "standing": standing})
    return found


def showings(reading: Reading, run: str, *, since: int = 1) -> list[Shown]:
    """Every bundle that a run was shown, oldest first; only those from one epoch on where it is given."""
    rows = reading.all(_SHOWN, {"of_run": run})
    return [Shown(*row) for row in rows if row.epoch >= since]


def tokens_of(reading: Reading, shown: Iterable[Shown]) -> int:
    """The size of the largest of these bundles, in tokens as counted when it was made; 0 of none."""
    largest = 0
    for name in {one.bundle for one in shown}:
        row = reading.one(bundles.select().where(bundles.c.bundle == name))
        if row is not None:
            largest = max(largest, int(json.loads(bytes(row.bytes))["budget"]["used"]))
    return largest


def was_shown(reading: Reading, run: str, cited: ProvenanceId) -> bool:
    """Whether a bundle that the run was shown quotes the version that `cited` is of."""
    c = bundle_versions.c
    query = (
        bundle_versions.join(bundles_shown, bundles_shown.c.bundle == c.bundle)
        .select()
        .with_only_columns(c.bundle)
        .where((bundles_shown.c.run == run) & (c.source == cited.source) & (c.version == cited.version))
        .limit(1)
    )
    return reading.one(query) is not None
