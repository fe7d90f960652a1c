"""Where a client can open a page for its person, a write that needs an approval comes as `input_required`,
with the approval page's URL (MCP 2026-07-28, URL elicitation).

What the client says back ("accept") is its own word and counts for nothing: the approval is looked up when
the call comes again, and the state that travels with it is the token that any client could have sent itself.
A call that comes again is answered for good, never with a second `input_required`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final, cast

from mcp.server.context import ServerRequestContext
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp_types import (
    CallToolRequestParams,
    ElicitRequest,
    ElicitRequestURLParams,
    ElicitResult,
    InputRequiredResult,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from ledger.canonical import JsonObject
from ledger.keyring import KeyRing
from policies.codes import Denial
from tool_scopes.house import Answer, Caller
from tool_scopes.refusals import Refused

KEY: Final = "approval"
"""The name of our one input request."""

REFUSAL_META: Final = "dev.bailiwick/refusal"
"""Where the refusal itself stands in an `input_required`, for clients that look."""

STATE_S: Final = 7 * 24 * 3600.0
"""How long a call may come again with its state, in seconds; the approval itself ends earlier."""


def brought_back(params: CallToolRequestParams) -> str | None:
    """The token that a call which comes again carries in its state, when its person has been to the page."""
    answered = (params.input_responses or {}).get(KEY)
    if params.request_state is None or not isinstance(answered, ElicitResult):
        return None
    return params.request_state if answered.action == "accept" else None


def comes_again(params: CallToolRequestParams) -> bool:
    """Whether this call was answered with an `input_required` before."""
    return params.request_state is not None or params.input_responses is not None


def asks_for_page(
    ctx: ServerRequestContext[Any, Any], outcome: Answer | Refused, base_url: str | None
) -> InputRequiredResult | None:
    """The `input_required` in place of this refusal, for clients that can open a page; None for all else."""
    if base_url is None or not isinstance(outcome, Refused) or outcome.denial.code != "approval_required":
        return None
    if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS or not _opens_pages(ctx):
        return None
    denial = outcome.denial
    approval = cast("JsonObject", denial.detail["approval"])
    request, token = approval["request"], approval["approval_token"]
    if not isinstance(token, str):
        return None
    page = ElicitRequest(
        params=ElicitRequestURLParams(
            mode="url",
            url=f"{base_url}/approvals/{request}",
            message="A human has to judge this exact call. Open the page and judge it; then go on here.",
        )
    )
    told: JsonObject = {"code": denial.code, "message": denial.message, **denial.detail}
    return InputRequiredResult(input_requests={KEY: page}, request_state=token, _meta={REFUSAL_META: told})


def with_token(outcome: Answer | Refused, token: str | None) -> Answer | Refused:
    """A refusal that says to send the token again names it where only the client's own code has seen it."""
    if token is None or not isinstance(outcome, Refused) or outcome.denial.code != "approval_pending":
        return outcome
    denial = outcome.denial
    return Refused(Denial(denial.code, denial.reason, {**denial.detail, "approval_token": token}))


def state_boundary(
    ring: KeyRing, caller_of: Callable[[ServerRequestContext[Any, Any]], Caller]
) -> RequestStateBoundary:
    """Seals what travels in `requestState`, for one caller and one call, on every server of one ledger."""
    keys = [
        hashlib.sha256(b"bailiwick-request-state-v1\0" + secret).digest()
        for secret in reversed(ring.secrets("approval-token"))
    ]

    def bound_to(ctx: ServerRequestContext[Any, Any]) -> str:
        caller = caller_of(ctx)
        return f"{caller.agent.id}/{caller.run}/{caller.step}/{caller.epoch}"

    security = RequestStateSecurity(keys=keys, ttl=STATE_S, bind_principal=bound_to)
    return RequestStateBoundary(security, default_audience="bailiwick")


def _opens_pages(ctx: ServerRequestContext[Any, Any]) -> bool:
    declared = ctx.session.client_capabilities
    return declared is not None and declared.elicitation is not None and declared.elicitation.url is not None
