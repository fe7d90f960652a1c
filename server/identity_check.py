"""The one check in front of MCP over HTTP: a request goes on only with a caller attached to it."""

from __future__ import annotations

import logging

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ledger.clock import system_now_ms
from policies.access_tokens import TokenRefused, looks_like_token
from policies.codes import CODES
from server.front import Front
from server.identity import Identity
from server.issuer_keys import REFETCH_S, IssuerSilent
from server.metrics import Metrics
from server.traffic import Refusal
from tool_scopes.house import Caller, House

logger = logging.getLogger(__name__)

_WHAT_TO_SEND = "Send `Authorization: Bearer` with an agent key or a step pass"


class IdentityCheck:
    """Answers 401 without a caller, 403 to a token without the scope, 404 where there is no such step; else
    passes the request on.
    """

    def __init__(
        self, app: ASGIApp, identity: Identity, house: House, front: Front, metrics: Metrics
    ) -> None:
        self._app = app
        self._identity = identity
        self._house = house
        self._tokens = front.tokens
        self._traffic = front.traffic
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request with a caller through."""
        caller = await self._caller(scope)
        if isinstance(caller, JSONResponse):
            await caller(scope, receive, send)
            return
        placed = self._placed(caller, scope.get("path_params", {}))
        if placed is None:
            await JSONResponse({"error": "not_found"}, status_code=404)(scope, receive, send)
            return
        # The SDK binds a legacy session to the user in the scope: another principal, or another step, gets
        # 404 there.
        subject = f"{placed.run or ''}/{placed.step or ''}/{placed.epoch or 0}"
        token = AccessToken(token="", client_id=placed.agent.id, scopes=[], subject=subject)
        scope["user"] = AuthenticatedUser(token)
        scope["bailiwick.caller"] = placed
        if scope["method"] != "POST":
            # A legacy client's stream of notifications: it stays open, and asks nothing.
            await self._app(scope, receive, send)
            return
        try:
            async with self._traffic.turn(placed.agent):
                await self._app(scope, receive, send)
        except Refusal as refusal:
            self._metrics.refused(refusal.limit)
            logger.debug("a request of %s was refused: %s", placed.agent.id, refusal)
            await _too_many(refusal)(scope, receive, send)

    async def _caller(self, scope: Scope) -> Caller | JSONResponse:
        """Who calls, or the answer that says what is missing and nothing about why."""
        credential, now_ms, path = _bearer(scope), system_now_ms(), str(scope["path"])
        if credential is None:
            return self._challenge(path, None)
        if self._tokens is None or not looks_like_token(credential):
            return self._identity.caller(credential, now_ms) or self._challenge(path, "invalid_token")
        try:
            found = await self._tokens.identify(credential, path, now_ms)
        except IssuerSilent:
            self._metrics.refused("issuer_silent")
            return JSONResponse(
                {"error": "temporarily_unavailable"}, 503, {"retry-after": str(round(REFETCH_S))}
            )
        if isinstance(found, TokenRefused):
            return self._challenge(path, "insufficient_scope" if found.lacks_scope else "invalid_token")
        return self._identity.caller_of(found) or self._challenge(path, "invalid_token")

    def _challenge(self, path: str, error: str | None) -> JSONResponse:
        """401 or 403 (RFC 6750, 3.1). Without a credential no error is named in the header."""
        if self._tokens is None:
            header, told = 'Bearer error="invalid_token"', _WHAT_TO_SEND
        else:
            header = self._tokens.challenge(path, error)
            told = f"{_WHAT_TO_SEND}, or an access token of the issuer that the metadata names"
        self._metrics.refused(error or "invalid_token")
        body = {"error": error or "invalid_token", "error_description": told}
        status = 403 if error == "insufficient_scope" else 401
        return JSONResponse(body, status, {"www-authenticate": header})

    def _placed(self, caller: Caller, path: dict[str, str]) -> Caller | None:
        """The caller at the workflow and step of the URL; None where there is no such step."""
        if not path:
            return caller
        workflow = self._house.workflows.get(path["workflow"])
        if workflow is None or path["step"] not in workflow.steps:
            return None
        if caller.workflow is not None and (caller.workflow, caller.step) != (workflow.name, path["step"]):
            return None
        return (
            caller
            if caller.workflow is not None
            else Caller(caller.agent, workflow=workflow.name, step=path["step"])
        )


def _too_many(refusal: Refusal) -> JSONResponse:
    body = {"error": "rate_limited", "error_description": CODES["rate_limited"].message}
    return JSONResponse(body, 429, {"retry-after": str(refusal.retry_after_s)})


def _bearer(scope: Scope) -> str | None:
    """The one bearer credential of a request; two Authorization headers are none."""
    found = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(found) != 1:
        return None
    kind, _, credential = found[0].decode("latin-1").partition(" ")
    return credential.strip() if kind.lower() == "bearer" else None
