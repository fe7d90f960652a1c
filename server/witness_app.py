"""A witness as a small HTTP server (c2sp.org/tlog-witness), for a machine that the log's server does not own.

    POST /add-checkpoint             a submission; 200 with cosignature lines, else 400, 403, 404, 409, 422
    GET  /checkpoint?origin=ORIGIN   the newest head kept of a log, with the witness's own line; else 404

Nobody needs a credential: only a log's own key makes a head, and heads are no secret.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ledger.clock import system_now_ms
from ledger.errors import LedgerError
from ledger.witness import MAX_BYTES, Reply, cosign, read_submission
from server.witness_folder import WitnessFolder


def witness_app(witness: WitnessFolder) -> Starlette:
    """The application over one witness."""

    async def add_checkpoint(request: Request) -> Response:
        try:
            text = await _body(request)
        except ClientDisconnect:
            return Response(status_code=400)
        submission = None if text is None else read_submission(text)
        if submission is None:
            return Response(status_code=400)
        try:
            reply = await run_in_threadpool(witness.submit, submission, system_now_ms() // 1000)
        except (LedgerError, OSError):
            return Response(status_code=503)
        return _response(reply)

    async def checkpoint(request: Request) -> Response:
        origin = request.query_params.get("origin", "")
        head = witness.newest(origin) if origin in witness.logs else None
        if head is None:
            return Response(status_code=404)
        line = cosign(head.note, witness.name, witness.key, system_now_ms() // 1000)
        return PlainTextResponse(head.note + line)

    return Starlette(
        routes=[
            Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
            Route("/checkpoint", checkpoint, methods=["GET"]),
        ]
    )


async def _body(request: Request) -> str | None:
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > MAX_BYTES:
            return None
    try:
        return received.decode()
    except UnicodeDecodeError:
        return None


def _response(reply: Reply) -> Response:
    if reply.status == 409 and reply.body:
        return Response(reply.body, status_code=409, media_type="text/x.tlog.size")
    return PlainTextResponse(reply.body, status_code=reply.status)
