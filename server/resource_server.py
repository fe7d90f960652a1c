"""The OAuth 2.1 half of the front desk: tokens of one issuer as credentials, and what tells clients of it.

RFC 9728 metadata stands at `/.well-known/oauth-protected-resource` and, with the path of a resource behind
it, for that resource. A token for `…/mcp` opens everything below; one for a step's URL opens that step alone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ledger.canonical import JsonObject
from policies.access_tokens import TokenIdentity, TokenRefused, TokenRules, read_header, verify_token
from server.errors import BadInput
from server.issuer_keys import IssuerKeys
from server.settings import Settings

logger = logging.getLogger(__name__)

METADATA: Final = "/.well-known/oauth-protected-resource"


@dataclass(frozen=True, slots=True)
class ResourceServer:
    """What tokens are held to. `base` is the URL that clients know this server by, without a path."""

    base: str
    rules: TokenRules
    keys: IssuerKeys

    async def identify(self, token: str, path: str, now_ms: int) -> TokenIdentity | TokenRefused:
        """Who a token is of at a path. `IssuerSilent` when the issuer's keys cannot be had."""
        header = read_header(token, self.rules)
        if isinstance(header, TokenRefused):
            return self._noted(header)
        key = await self.keys.key(header.kid)
        if key is None:
            return self._noted(TokenRefused("the issuer has no such key"))
        audiences = (f"{self.base}/mcp", f"{self.base}{quote(path)}")
        found = verify_token(token, key, self.rules, audiences, now_ms)
        return self._noted(found) if isinstance(found, TokenRefused) else found

    def challenge(self, path: str, error: str | None) -> str:
        """The `WWW-Authenticate` of a refusal at a path (RFC 6750, 3; RFC 9728, 5.1)."""
        said = [f'error="{error}"'] if error else []
        said.append(f'resource_metadata="{self.base}{METADATA}{quote(path)}"')
        if self.rules.scope:
            said.append(f'scope="{self.rules.scope}"')
        return "Bearer " + ", ".join(said)

    def routes(self) -> Sequence[Route]:
        """The metadata: of the server as a whole, of `/mcp`, and of each step's URL, whether there is such a
        step or not.
        """
        paths = (METADATA, f"{METADATA}/mcp", f"{METADATA}/mcp/{{workflow}}/{{step}}")
        return [Route(path, self._metadata, methods=["GET"]) for path in paths]

    async def _metadata(self, request: Request) -> Response:
        path = quote(str(request.scope["path"]).removeprefix(METADATA)) or "/mcp"
        told: JsonObject = {
            "resource": f"{self.base}{path}",
            "authorization_servers": [self.rules.issuer],
            "bearer_methods_supported": ["header"],
            "resource_name": "Bailiwick",
        }
        if self.rules.scope:
            told["scopes_supported"] = [self.rules.scope]
        # Clients that run in a browser read it from elsewhere; it holds nothing that is not public.
        headers = {"access-control-allow-origin": "*", "cache-control": "max-age=300"}
        return JSONResponse(told, headers=headers)

    def _noted(self, refused: TokenRefused) -> TokenRefused:
        logger.info("an access token was refused: %s", refused.reason)
        return refused


def resource_server_of(settings: Settings, base: str) -> ResourceServer | None:
    """What the settings say about tokens; None where they name no issuer."""
    if settings.oauth_issuer is None and settings.oauth_keys is None:
        return None
    if settings.oauth_issuer is None or settings.oauth_keys is None:
        raise BadInput("oauth_issuer and oauth_keys belong together; set both, or neither.")
    algorithms = tuple(settings.oauth_algorithms.split(","))
    rules = TokenRules(settings.oauth_issuer, algorithms, settings.oauth_type, settings.oauth_scope)
    return ResourceServer(base, rules, IssuerKeys(settings.oauth_keys, algorithms))
