"""What stands at the door of the page: which names it answers to, which pages may send it something, what a
browser may do with what it is given, and its cookies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import Response

HEADERS: Final = {
    # Nothing inline, nothing from elsewhere, in no frame, and nowhere to send anything but here.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
"""On every answer of the page, also on refusals."""


@dataclass(frozen=True, slots=True)
class Doors:
    """`names` says which Host headers are answered. `origin` is the page's own origin where a proxy in front
    gives it another one than the request shows.
    """

    names: TransportSecuritySettings
    origin: str | None = None

    async def refusal(self, request: Request) -> Response | None:
        """Why a request gets no further, or None: an unknown name, or another page's request that would do
        something.
        """
        acts = request.method not in ("GET", "HEAD")
        refused = await TransportSecurityMiddleware(self.names).validate_request(request, is_post=acts)
        if refused is not None or not acts:
            # A link from elsewhere may open the page; its cookie does not come with it (SameSite=Strict).
            return refused
        site = request.headers.get("sec-fetch-site", "same-origin")
        if request.headers.get("origin") != self.origin_of(request) or site != "same-origin":
            return Response("Only the approval page itself may send this.\n", 403)
        return None

    def origin_of(self, request: Request) -> str:
        """The origin that a browser sees this page under."""
        if self.origin is not None:
            return self.origin
        return f"{request.url.scheme}://{request.headers.get('host', '')}"

    def secure(self, request: Request) -> bool:
        """Whether the browser speaks to it over TLS."""
        return self.origin_of(request).startswith("https:")


def cookie_of(request: Request, name: str, *, secure: bool) -> str | None:
    """A cookie of ours, under the one name that it has here."""
    return request.cookies.get(_full_name(name, secure=secure))


def set_cookie(response: Response, name: str, value: str, *, secure: bool, seconds: int) -> None:
    """Give the browser a cookie that no script reads and no other site sends. 0 seconds takes it back."""
    response.set_cookie(
        _full_name(name, secure=secure),
        value,
        max_age=seconds,
        path="/" if secure else "/approvals",
        secure=secure,
        httponly=True,
        samesite="strict",
    )


def _full_name(name: str, *, secure: bool) -> str:
    # RFC 6265bis: only a page of this very host, over TLS, can set a cookie with this prefix.
    return f"__Host-bailiwick-{name}" if secure else f"bailiwick-{name}"
