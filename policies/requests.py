"""Approval requests as they stand, and how to find them.

States: pending → approved → executing → succeeded, failed or in_doubt; also denied, revoked and expired.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ledger.canonical import JsonObject, JsonValue
from ledger.statements import fixed, param
from ledger.transaction import AnyRow, Reading
from policies.call import CanonicalCall
from policies.tables import approval_requests
from policies.tokens import parse_token, token_digest

OPEN_STATES: Final = ("pending", "approved")
"""The states in which a request can still be judged or redeemed."""

SPENT_STATES: Final = ("executing", "succeeded", "failed", "in_doubt")
"""The states of a request that an execution has used; they follow the execution."""


_BY_ID = fixed(approval_requests.select().where(approval_requests.c.id == param("request")))
_BY_TOKEN = fixed(approval_requests.select().where(approval_requests.c.token_digest == param("token")))
_OPEN = fixed(
    approval_requests.select().where(
        approval_requests.c.core_key == param("core"), approval_requests.c.state.in_(OPEN_STATES)
    )
)


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """A request as it stands. Times are milliseconds since the epoch.

    `digest` is what reviewers sign; `owner` is who answered for the agent when it asked; `summary` is for
    people; `created_seq` is its entry in the log; `execution` is what it was spent on; `token_digest` is how
    its token is known.
    """

    id: str
    tenant: str
    principal: str
    owner: str
    run: str
    call: CanonicalCall
    digest: str
    summary: JsonObject
    state: str
    execution: str | None
    created_ms: int
    created_seq: int
    expires_ms: int
    token_digest: str


def find_request(reading: Reading, request_id: str) -> ApprovalRequest | None:
    """The request with this id."""
    return _found(reading.one(_BY_ID, {"request": request_id}))


def find_by_token(reading: Reading, token: str) -> ApprovalRequest | None:
    """The request that this text is the token of; None for anything that is not exactly one."""
    if parse_token(token) is None:
        return None
    return _found(reading.one(_BY_TOKEN, {"token": token_digest(token)}))


def find_open(reading: Reading, core_key: str) -> ApprovalRequest | None:
    """The request for a call with this core that is pending or approved; its time may be over."""
    return _found(reading.one(_OPEN, {"core": core_key}))


def list_requests(
    reading: Reading,
    *,
    tenant: str | None = None,
    run: str | None = None,
    states: Sequence[str] | None = None,
) -> list[ApprovalRequest]:
    """Requests, oldest first; of one tenant, one run or some states where given."""
    query = approval_requests.select().order_by(approval_requests.c.created_seq)
    if tenant is not None:
        query = query.where(approval_requests.c.tenant == tenant)
    if run is not None:
        query = query.where(approval_requests.c.run == run)
    if states is not None:
        query = query.where(approval_requests.c.state.in_(list(states)))
    return [_request_of_row(row) for row in reading.all(query)]


def _found(row: AnyRow | None) -> ApprovalRequest | None:
    return None if row is None else _request_of_row(row)


@lru_cache(maxsize=1024)
def _call_of(text: str) -> CanonicalCall:
    """The stored call, remembered by its very text: whoever changes a row gets another answer."""
    call: JsonValue = json.loads(text)
    return CanonicalCall.from_json(call)


def _request_of_row(row: AnyRow) -> ApprovalRequest:
    return ApprovalRequest(
        id=row.id,
        tenant=row.tenant,
        principal=row.principal,
        owner=row.owner,
        run=row.run,
        call=_call_of(row.call),
        digest=row.digest,
        summary=json.loads(row.summary),
        state=row.state,
        execution=row.execution,
        created_ms=row.created_ms,
        created_seq=row.created_seq,
        expires_ms=row.expires_ms,
        token_digest=row.token_digest,
    )
