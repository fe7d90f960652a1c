"""The MCP gateway: one low-level server for both protocol eras, over HTTP and stdio.

A tool list is a function of the credential, the URL and the ledger's state; never of the connection. The same
scope answers the list and the call.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, cast

from mcp.server.caching import CacheHint
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    CallToolRequestParams,
    CallToolResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
)
from starlette.requests import Request

from ledger.canonical import CanonicalError, JsonObject, check_value, parse_strict
from ledger.errors import LedgerError
from policies.codes import CODES, Denial
from server import resources
from server.desk import DESK, DeskTool, serve_desk, take_approval
from server.tool_lists import ToolLists
from server.wire import call_result, unavailable, unknown_tool
from tool_scopes.house import Answer, Caller, House
from tool_scopes.refusals import Refused, refuse
from tool_scopes.tool_calls import call_tool
from tool_scopes.yaml_files import FileRefused

logger = logging.getLogger(__name__)

APPROVAL_META = "dev.bailiwick/approval"
"""The `_meta` key under which a client may bring an approval token."""

STATELESS = "2026-07-28"
"""The first revision of the protocol in which a request stands for itself; revisions sort as texts."""

UNREADABLE_META = "dev.bailiwick/unreadable"
"""The `_meta` key under which a pipe says why it could not read a call's arguments; that call is refused."""

MAX_CALL_BYTES = 131_072
"""The largest request body of a `tools/call`, in bytes; its arguments have a smaller limit of their own."""

INSTRUCTIONS = (
    "Work goes in runs of a workflow, step by step. open_run and current_step say the step's purpose, rules "
    "and tools. read_context gives the evidence; quote it exactly. use_tool calls a tool of the step. "
    "submit_step ends it with an envelope and gives the next step. A write is refused with approval_required "
    "and a token until a human approves that very call out of band: then send exactly the same call with the "
    "token. A refusal's `code` and `message` say what to do next."
)
"""What a model that has never heard of Bailiwick reads first."""


def build_server(house: House, version: str, stdio_caller: Caller | None = None) -> Server[Any]:
    """The MCP server over `house`. `stdio_caller` is who speaks when there is no HTTP request to carry a
    credential.
    """
    gateway = _Gateway(house, ToolLists(house), stdio_caller)
    server = Server[Any](
        "bailiwick",
        version=version,
        title="Bailiwick",
        instructions=INSTRUCTIONS,
        cache_hints={"tools/list": CacheHint(ttl_ms=0, scope="private")},
        on_list_resources=gateway.list_resources,
        on_list_resource_templates=gateway.list_resource_templates,
        on_read_resource=gateway.read_resource,
        # Named so that the SDK does not run a whole tools/list for each call. It is no gate: the scope is
        # checked at the call.
        get_tool_input_schema=_no_mirrored_headers,
        on_call_tool=gateway.call_tool,
    )
    # Registered here because the lists are kept in wire form, which the constructor's types do not know.
    server.add_request_handler("tools/list", PaginatedRequestParams, gateway.list_tools)
    server.middleware.append(gateway.answer_lists)
    return server


def _no_mirrored_headers(_name: str) -> Mapping[str, Any] | None:
    """No schema of ours asks for `Mcp-Param-*` headers, so there is nothing to validate and nothing to
    reveal.
    """
    return None


class _Gateway:
    def __init__(self, house: House, lists: ToolLists, stdio_caller: Caller | None) -> None:
        self._house = house
        self._lists = lists
        self._stdio_caller = stdio_caller

    async def list_tools(
        self, ctx: ServerRequestContext[Any, Any], _params: PaginatedRequestParams
    ) -> dict[str, Any]:
        return self._lists.of(self._caller(ctx)).result

    async def answer_lists(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """The SDK checks and spells each answer anew; a list is the same bytes each time, so once is enough.

        Only for a request that asks for nothing but the list, in the era without a handshake that could be
        missing: every other one goes its whole way.
        """
        if (
            ctx.method != "tools/list"
            or ctx.protocol_version < STATELESS
            or (ctx.params or {}).keys() != {"_meta"}
        ):
            return await call_next(ctx)
        listed = self._lists.of(self._caller(ctx))
        answer = listed.answers.get(ctx.protocol_version)
        if answer is None:
            answer = listed.answers[ctx.protocol_version] = await call_next(ctx)
        return answer

    async def call_tool(
        self, ctx: ServerRequestContext[Any, Any], params: CallToolRequestParams
    ) -> CallToolResult:
        caller = self._caller(ctx)
        try:
            outcome = await self._outcome(ctx, caller, params)
        except LedgerError as error:
            logger.error("the ledger cannot be used: %s", error)
            return unavailable()
        except FileRefused as error:
            logger.error("a stored workflow no longer fits the catalogue: %s", error)
            return unavailable()
        unknown = isinstance(outcome, Refused) and outcome.denial.code == "unknown_tool"
        if unknown and _desk_tool(caller, params.name) is None:
            raise unknown_tool(params.name)
        return call_result(outcome)

    async def _outcome(
        self, ctx: ServerRequestContext[Any, Any], caller: Caller, params: CallToolRequestParams
    ) -> Answer | Refused:
        house, name = self._house, params.name
        given = await _strict_arguments(ctx, params)
        if isinstance(given, Denial):
            return await refuse(house, caller, None, name, given)
        desk_tool = _desk_tool(caller, name)
        if desk_tool is not None:
            return await serve_desk(house, caller, desk_tool, given)
        if caller.workflow is None:
            # At the desk a step's tools are used by name through use_tool; they are no tools of this list.
            unknown = Denial("unknown_tool", reason=f"{name[:128]} is not a tool of the desk")
            return await refuse(house, caller, None, name, unknown)
        run_id = given.pop("run_id", None) if caller.run is None else None
        meta_token: object = (ctx.meta or {}).get(APPROVAL_META)
        if meta_token is not None and not isinstance(meta_token, str):
            wrong = Denial(
                "invalid_arguments",
                reason="the approval in _meta is no text",
                detail={"why": f"{APPROVAL_META} must be a text"},
            )
            return await refuse(house, caller, None, name, wrong)
        arguments, token = take_approval(given, meta_token)
        if isinstance(arguments, Denial):
            return await refuse(house, caller, None, name, arguments)
        return await call_tool(
            house, caller, run_id if isinstance(run_id, str) else None, name, arguments, token
        )

    async def list_resources(
        self, ctx: ServerRequestContext[Any, Any], _params: PaginatedRequestParams | None
    ) -> ListResourcesResult:
        return resources.listed(self._house, self._caller(ctx))

    async def list_resource_templates(
        self, ctx: ServerRequestContext[Any, Any], _params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        return resources.templates(self._caller(ctx))

    async def read_resource(
        self, ctx: ServerRequestContext[Any, Any], params: ReadResourceRequestParams
    ) -> ReadResourceResult:
        try:
            return await resources.read(self._house, self._caller(ctx), params.uri)
        except LedgerError as error:
            logger.error("the ledger cannot be used: %s", error)
            raise MCPError(code=INTERNAL_ERROR, message=CODES["unavailable"].message) from None

    def _caller(self, ctx: ServerRequestContext[Any, Any]) -> Caller:
        request = cast("Request | None", ctx.request)
        caller = self._stdio_caller if request is None else request.scope.get("bailiwick.caller")
        if not isinstance(caller, Caller):
            # The HTTP layer lets no request without identity through; this is the second lock on the same
            # door.
            raise MCPError(code=-32600, message="This request carries no identity")
        return caller


def _desk_tool(caller: Caller, name: str) -> DeskTool | None:
    """The desk's tool of that name, if this caller's list has it: a step's list holds only some of them."""
    tool = DESK.get(name)
    return tool if tool is not None and (tool.within_step or caller.workflow is None) else None


async def _strict_arguments(
    ctx: ServerRequestContext[Any, Any], params: CallToolRequestParams
) -> JsonObject | Denial:
    """The call's arguments, read strictly from the body as it came: the SDK's own parser keeps the last of
    two equal keys.
    """
    request = cast("Request | None", ctx.request)
    unread = (ctx.meta or {}).get(UNREADABLE_META)
    if unread is not None:
        why = str(unread)[:300]
        return Denial("invalid_arguments", reason=f"unread in a pipe: {why}", detail={"why": why})
    try:
        if request is None:
            given = check_value(params.arguments or {})
        else:
            body = parse_strict(await request.body(), max_bytes=MAX_CALL_BYTES)
            sent = body.get("params") if isinstance(body, dict) else None
            given = sent.get("arguments") if isinstance(sent, dict) else None
            given = {} if given is None else given
    except CanonicalError as error:
        return Denial("invalid_arguments", reason=str(error), detail={"why": str(error)})
    if not isinstance(given, dict):
        return Denial(
            "invalid_arguments",
            reason="arguments are no object",
            detail={"why": "arguments must be an object"},
        )
    return given
