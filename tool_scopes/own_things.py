"""What a caller may name: its open runs, and what belongs to the run that it stands in. Others' are as if
absent.
"""

from __future__ import annotations

from typing import Final

from context_store.provenance import ProvenanceId
from context_store.shown import showings, was_shown
from ledger.transaction import Reading
from policies.codes import Denial
from policies.requests import list_requests
from tool_scopes.house import Caller, House
from tool_scopes.runs import OPEN_STATES
from tool_scopes.standing import Standing, stand
from tool_scopes.tables import runs

MOST_RUNS: Final = 500
"""How many open runs of an agent are looked through, the newest first."""


def own_runs(reading: Reading, caller: Caller) -> list[str]:
    """The caller's open runs that stand where its credential or its URL says, the newest first."""
    agent = caller.agent
    query = (
        runs.select()
        .with_only_columns(runs.c.id, runs.c.epoch)
        .where(runs.c.tenant == agent.tenant, runs.c.principal == agent.id)
        .where(runs.c.status.in_(sorted(OPEN_STATES)))
        .order_by(runs.c.opened_ms.desc(), runs.c.id.desc())
        .limit(MOST_RUNS)
    )
    if caller.workflow is not None:
        query = query.where(runs.c.workflow == caller.workflow)
    if caller.step is not None:
        query = query.where(runs.c.step == caller.step)
    if caller.run is not None:
        query = query.where(runs.c.id == caller.run, runs.c.epoch == caller.epoch)
    return [str(row.id) for row in reading.all(query)]


def own_bundles(house: House, caller: Caller, run_id: str | None) -> list[str]:
    """The bundles that the run was shown, oldest first; none where the caller does not stand in it."""

    def look(reading: Reading) -> list[str]:
        standing = standing_or_none(house, reading, caller, run_id)
        if standing is None:
            return []
        return list(dict.fromkeys(shown.bundle for shown in showings(reading, standing.run.id)))

    return house.ledger.read(look)


def own_requests(house: House, caller: Caller, run_id: str | None) -> list[str]:
    """The run's approval requests, oldest first; none where the caller does not stand in it."""

    def look(reading: Reading) -> list[str]:
        standing = standing_or_none(house, reading, caller, run_id)
        if standing is None:
            return []
        return [request.id for request in list_requests(reading, run=standing.run.id)]

    return house.ledger.read(look)


def was_quoted_to(house: House, caller: Caller, run_id: str | None, source: str) -> bool:
    """Whether the run was shown what a provenance id names."""
    cited = ProvenanceId.parse(source)

    def look(reading: Reading) -> bool:
        standing = standing_or_none(house, reading, caller, run_id)
        return standing is not None and cited is not None and was_shown(reading, standing.run.id, cited)

    return house.ledger.read(look)


def standing_or_none(house: House, reading: Reading, caller: Caller, run_id: str | None) -> Standing | None:
    """Where the caller stands, for what is only listed: whoever stands nowhere gets an empty list."""
    found = stand(house, reading, caller, run_id)
    return None if isinstance(found, Denial) else found
