"""The routes of the approval page: two that show, three that do something and take POST only.

A GET never changes what may be done: a link can be opened, fetched ahead or scanned by anybody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from anyio import to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from ledger.ids import is_id, random_token
from server.approval_sheet import verdict_in_words
from server.errors import BAD_INPUT, REFUSED, BadInput, Failure, RuleRefused, failure_of
from server.loopback import body_of, parse_operation
from server.operations.operation import OperationDesk
from server.operations.performing import perform_beside
from server.page.doors import HEADERS, Doors, cookie_of, set_cookie
from server.page.sessions import SESSION_MS, Session, challenge_of, end_session, find_session
from server.page.signing_in import sign_in
from server.page.views import STATIC, judged, render, static, waiting

PLACE: Final = "/approvals"
CHALLENGE_PREFIX: Final = "bpc"
_CHALLENGE_S: Final = 600
_MOST_BYTES: Final = 16_384

_STATUS: Final = {REFUSED: 403, BAD_INPUT: 404}
Endpoint = Callable[[Request], Awaitable[Response]]


def page_routes(desk: OperationDesk, doors: Doors) -> list[Route]:
    """The approval page over the desk of a running server."""
    page = _Page(desk, doors)
    files = [
        Route(f"{PLACE}/{name}", page.at_the_door(_file(name, kind)), methods=["GET"])
        for name, kind in STATIC.items()
    ]
    return [
        *files,
        Route(PLACE, page.at_the_door(page.listing), methods=["GET"]),
        Route(f"{PLACE}/sign-in", page.at_the_door(page.sign_in), methods=["POST"]),
        Route(f"{PLACE}/sign-out", page.at_the_door(page.sign_out), methods=["POST"]),
        Route(f"{PLACE}/verdicts", page.at_the_door(page.judge), methods=["POST"]),
        Route(f"{PLACE}/{{request}}", page.at_the_door(page.request), methods=["GET"]),
    ]


class _Page:
    def __init__(self, desk: OperationDesk, doors: Doors) -> None:
        self._desk = desk
        self._doors = doors

    def at_the_door(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint behind the checks of every request; no failure of it is told but in a sentence."""

        async def answered(request: Request) -> Response:
            try:
                answer = await self._doors.refusal(request) or await endpoint(request)
            except ClientDisconnect:
                answer = Response(status_code=400)
            except Exception as error:  # noqa: BLE001 - the one place where a failure becomes an answer
                answer = _failed(request, failure_of(error))
            answer.headers.update(HEADERS)
            return answer

        return answered

    async def listing(self, request: Request) -> Response:
        """What waits; or, with `?request=…` several times, those calls on one page."""
        wanted = list(dict.fromkeys(request.query_params.getlist("request")))
        return await self._shown(request, wanted)

    async def request(self, request: Request) -> Response:
        """One request."""
        return await self._shown(request, [request.path_params["request"]])

    async def _shown(self, request: Request, wanted: list[str]) -> Response:
        for one in wanted:
            if not is_id("req", one):
                raise BadInput("There is no such page; the list of what waits is at /approvals.")
        session = await self._session(request)
        if session is None:
            return self._sign_in_first(request, wanted)
        if not wanted:
            return HTMLResponse(await to_thread.run_sync(waiting, self._desk, session))
        whole = "full" in request.query_params
        page = await to_thread.run_sync(lambda: judged(self._desk, session, wanted, whole=whole))
        return HTMLResponse(page)

    def _sign_in_first(self, request: Request, wanted: list[str]) -> Response:
        """The same for a request that exists and one that does not: nothing is looked up."""
        secure = self._doors.secure(request)
        secret = cookie_of(request, "challenge", secure=secure)
        if secret is None or not is_id(CHALLENGE_PREFIX, secret):
            secret = random_token(CHALLENGE_PREFIX)
        page = render(
            "sign_in.html",
            wanted=wanted,
            challenge=challenge_of(secret),
            server=self._desk.ledger.origin,
            session=None,
        )
        answer = HTMLResponse(page)
        set_cookie(answer, "challenge", secret, secure=secure, seconds=_CHALLENGE_S)
        return answer

    async def sign_in(self, request: Request) -> Response:
        """From a signed challenge to a session."""
        args, signed = parse_operation(await body_of(request, _MOST_BYTES))
        secure, origin = self._doors.secure(request), self._doors.origin_of(request)
        secret = cookie_of(request, "challenge", secure=secure)
        opened = await to_thread.run_sync(
            lambda: sign_in(self._desk, args, signed, origin=origin, secret=secret)
        )
        answer = JSONResponse({"person": signed.person})
        set_cookie(answer, "session", opened, secure=secure, seconds=SESSION_MS // 1_000)
        set_cookie(answer, "challenge", "", secure=secure, seconds=0)
        return answer

    async def sign_out(self, request: Request) -> Response:
        """End the session, here and on every other server of this ledger."""
        secure = self._doors.secure(request)
        secret = cookie_of(request, "session", secure=secure)
        await self._own(request)
        if secret is not None:
            await to_thread.run_sync(end_session, self._desk.ledger, secret)
        answer = JSONResponse({"signed_out": True})
        set_cookie(answer, "session", "", secure=secure, seconds=0)
        return answer

    async def judge(self, request: Request) -> Response:
        """A verdict that the person's own key signed, performed as the same operation of the command line."""
        session = await self._own(request)
        args, signed = parse_operation(await body_of(request, _MOST_BYTES))
        if (signed.person, signed.kid) != (session.person.id, session.kid):
            raise RuleRefused(f"You are signed in as {session.person.id}, and another key signed this.")
        result = await perform_beside(self._desk, "approval.judge", args, signed)
        return JSONResponse({"result": result, "told": verdict_in_words(result)})

    async def _session(self, request: Request) -> Session | None:
        secret = cookie_of(request, "session", secure=self._doors.secure(request))
        desk = self._desk
        if secret is None:
            return None
        return await to_thread.run_sync(
            lambda: desk.ledger.read(lambda reading: find_session(reading, secret, desk.now_ms()))
        )

    async def _own(self, request: Request) -> Session:
        """The session of a request that one of its own pages sent; `RuleRefused` otherwise."""
        session = await self._session(request)
        if session is None:
            raise RuleRefused("You are not signed in any more; load the page anew.")
        if request.headers.get("x-bailiwick-csrf") != session.csrf:
            raise RuleRefused("Only a page that was opened in this session can do this; load it anew.")
        return session


def _file(name: str, kind: str) -> Endpoint:
    async def endpoint(_request: Request) -> Response:
        return Response(static(name), headers={"content-type": kind})

    return endpoint


def _failed(request: Request, failure: Failure) -> Response:
    status = _STATUS.get(failure.exit_code, 503)
    if request.method == "POST":
        return JSONResponse({"error": failure.sentence}, status_code=status if status != 404 else 400)
    page = render("refused.html", sentence=failure.sentence, session=None)
    return HTMLResponse(page, status_code=status)
