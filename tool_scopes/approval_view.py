"""What the requesting agent may see of its approvals: their state and how they ended, never who judged or
why.
"""

from __future__ import annotations

from ledger.canonical import JsonObject, JsonValue
from ledger.transaction import Reading
from policies.approvals import list_requests
from policies.codes import Denial
from tool_scopes.house import Answer, Caller, House
from tool_scopes.presenting import approval_detail
from tool_scopes.refusals import Refused, refuse
from tool_scopes.standing import stand


async def see_approval(
    house: House, caller: Caller, run_id: str | None, request_id: str | None
) -> Answer | Refused:
    """The approval requests of the run's current step, or the one that is named."""

    def look(reading: Reading) -> Denial | list[JsonValue]:
        standing = stand(house, reading, caller, run_id)
        if isinstance(standing, Denial):
            return standing
        found: list[JsonValue] = []
        for request in list_requests(reading, run=standing.run.id):
            if request_id in (None, request.id):
                detail: JsonObject = approval_detail(house, request)
                if request.execution is not None:
                    detail["execution"] = request.execution
                found.append(detail)
        if request_id is not None and not found:
            return Denial("unknown_tool", reason=f"run {standing.run.id} has no request {request_id[:64]}")
        return found

    seen = house.ledger.read(look)
    if isinstance(seen, Denial):
        return await refuse(house, caller, None, "see_approval", seen)
    return Answer("done", {"approvals": seen})
