"""What rests on a version, or on a span of it: bundles, runs, envelopes, approval requests and executions.

Answered from the edges that log entries declare: a bundle quotes spans, a run was shown bundles, an envelope
cites spans, a request considers bundles by their digests, an execution is authorised by a request.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from context_store.grants import CurationGrant
from context_store.provenance import ProvenanceId
from context_store.tables import bundles
from ledger.tables import log, rests_on
from ledger.transaction import Reading

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Impact:
    """Ids in order, by what they are of. An envelope is `run/step#epoch`."""

    bundles: tuple[str, ...]
    runs: tuple[str, ...]
    envelopes: tuple[str, ...]
    requests: tuple[str, ...]
    executions: tuple[str, ...]


def impact_of(reading: Reading, grant: CurationGrant, cited: ProvenanceId) -> Impact:
    """What of the grant's tenant rests on `cited`; of a span, what rests on anything that overlaps it."""
    quoting = _resting_on_text(reading, grant, cited)
    shown = {name for name in quoting if name.startswith("bnd_")}
    envelopes = {name for name in quoting if "/" in name}
    digests = _digests(reading, shown)
    later = _resting_on(reading, {*shown, *digests})
    requests = {name for name in later if name.startswith("req_")}
    runs = {name for name in later if name.startswith("run_")} | {
        name.partition("/")[0] for name in envelopes
    }
    executions = _resting_on(reading, requests)
    return Impact(*(tuple(sorted(names)) for names in (shown, runs, envelopes, requests, executions)))


def _resting_on_text(reading: Reading, grant: CurationGrant, cited: ProvenanceId) -> set[str]:
    whole = str(cited.whole())
    c = rests_on.c
    edges = (
        rests_on.join(log, log.c.seq == c.seq)
        .select()
        .with_only_columns(c.dependent, c.foundation)
        # A source's id is of its tenant only, so the tenant of the entry decides whose edge it is.
        .where((log.c.tenant == grant.tenant) & c.foundation.startswith(f"{whole}", autoescape=True))
    )
    return {row.dependent for row in reading.all(edges) if _touches(row.foundation, cited)}


def _touches(foundation: str, cited: ProvenanceId) -> bool:
    found = ProvenanceId.parse(foundation)
    if found is None or found.whole() != cited.whole():
        return False
    if found.span is None or cited.span is None:
        return True
    return found.span[0] < cited.span[1] and cited.span[0] < found.span[1]


def _digests(reading: Reading, names: Collection[str]) -> set[str]:
    return {
        row.digest
        for some in _chunks(names)
        for row in reading.all(bundles.select().where(bundles.c.bundle.in_(some)))
    }


def _resting_on(reading: Reading, foundations: Collection[str]) -> set[str]:
    return {
        row.dependent
        for some in _chunks(foundations)
        for row in reading.all(rests_on.select().where(rests_on.c.foundation.in_(some)))
    }


def _chunks(names: Collection[str]) -> Iterable[list[str]]:
    listed = sorted(names)
    return (listed[at : at + _CHUNK] for at in range(0, len(listed), _CHUNK))
