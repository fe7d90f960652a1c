"""`POST /hooks/{trigger}`: signed webhooks that open runs (Standard Webhooks).

Whoever holds no secret of a trigger learns nothing, not even which triggers there are, and leaves no trace in
the log of the ledger. A delivery that is sent again is the same run.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Final

from anyio import to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ledger.canonical import CanonicalError, JsonObject, parse_strict
from ledger.clock import system_now_ms
from ledger.errors import LedgerError
from ledger.transaction import Reading
from policies.agents import agent_by_id
from policies.codes import CODES
from policies.principals import Agent
from tool_scopes.house import Answer, Caller, House
from tool_scopes.opening import open_run
from tool_scopes.refusals import Refused
from tool_scopes.triggers import PayloadRefused, Trigger, find_trigger, keys_of
from tool_scopes.webhooks import Delivery, verify_delivery

logger = logging.getLogger(__name__)

MAX_PAYLOAD_BYTES: Final = 65_536
"""The largest payload, in bytes: as large as the arguments of a call."""

_STATUS: Final = {"invalid_arguments": 422, "policy_denied": 403}
_RETRY_AFTER_S: Final = "60"


def hooks_route(house: House) -> Route:
    """The endpoint over a running house."""

    async def endpoint(request: Request) -> Response:
        try:
            body = await _body(request)
            if body is None:
                return _said(413, "too_large", f"A payload has at most {MAX_PAYLOAD_BYTES} bytes.")
            return await _deliver(house, request.path_params["trigger"], dict(request.headers), body)
        except ClientDisconnect:
            return Response(status_code=400)
        except LedgerError as error:
            logger.error("a delivery could not be taken: %s", error)
            return _later("unavailable")

    return Route("/hooks/{trigger}", endpoint, methods=["POST"])


async def _deliver(house: House, name: str, headers: dict[str, str], body: bytes) -> Response:
    now_ms = system_now_ms()

    def look(reading: Reading) -> tuple[Trigger | None, list[bytes], Agent | None]:
        trigger = find_trigger(reading, name[:128])
        if trigger is None:
            return None, [], None
        keys = keys_of(reading, house.ring, trigger, now_ms)
        return trigger, keys, agent_by_id(reading, trigger.agent)

    trigger, keys, agent = await to_thread.run_sync(house.ledger.read, look)
    delivery = verify_delivery(headers, body, keys, now_ms)
    if trigger is None or isinstance(delivery, str):
        logger.warning("a delivery to a trigger was refused: %s", delivery)
        return _said(401, "invalid_signature", "The delivery is not signed by a secret of this trigger now.")
    if agent is None:
        return _said(403, "policy_denied", "The agent of this trigger was revoked.")
    return await _opened(house, trigger, agent, delivery)


async def _opened(house: House, trigger: Trigger, agent: Agent, delivery: Delivery) -> Response:
    """Open the run that a genuine delivery asks for, or find it again."""
    try:
        payload = parse_strict(delivery.body, max_bytes=MAX_PAYLOAD_BYTES)
    except CanonicalError as error:
        return _said(400, "invalid_arguments", f"The payload cannot be read: {error}.")
    if not isinstance(payload, dict):
        return _said(400, "invalid_arguments", "The payload is no JSON object.")
    if trigger.ignores(payload):
        return JSONResponse({"ignored": "type"})
    try:
        given = trigger.input_of(payload)
    except PayloadRefused as refused:
        return _said(422, "invalid_arguments", str(refused))
    key = f"webhook:{trigger.name}:{delivery.id}"
    opening = partial(open_run, trigger=f"webhook:{trigger.id}")
    outcome = await opening(house, Caller(agent), trigger.workflow, given, key)
    return _answer(outcome)


def _answer(outcome: Answer | Refused) -> Response:
    if isinstance(outcome, Answer):
        said: JsonObject = {"run": outcome.body["run"], "status": outcome.body["status"]}
        return JSONResponse(said)
    denial = outcome.denial
    if denial.code not in _STATUS:
        return _later(denial.code)
    return _said(_STATUS[denial.code], denial.code, str(denial.detail.get("why", denial.message)))


def _said(status: int, code: str, sentence: str) -> Response:
    return JSONResponse({"error": code, "message": sentence}, status_code=status)


def _later(code: str) -> Response:
    """What a sender should try again."""
    body = {"error": code, "message": CODES[code].message}
    return JSONResponse(body, status_code=503, headers={"retry-after": _RETRY_AFTER_S})


async def _body(request: Request) -> bytes | None:
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > MAX_PAYLOAD_BYTES:
            return None
    return bytes(received)
