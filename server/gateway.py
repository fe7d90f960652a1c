"""The MCP gateway: one low-level server for both protocol eras, over HTTP and stdio.

A tool list is a function of the credential, the URL and the ledger's state; never of the connection. The same
scope answers the list and the call.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from mcp.server.caching import CacheHint
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    CallToolRequestParams,
    CallToolResult,
    CompleteRequestParams,
    CompleteResult,
    EmptyResult,
    GetPromptRequestParams,
    GetPromptResult,
    InputRequiredResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    NotificationParams,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)
from starlette.requests import Request

from ledger.errors import LedgerError
from policies.codes import CODES, Denial
from server import completions, prompts, resources
from server.announcing import Announcer
from server.desk import DESK, DeskTool, serve_desk, take_approval
from server.listening import Subscriptions
from server.page_for_people import asks_for_page, brought_back, comes_again, state_boundary, with_token
from server.paging import only_page
from server.progress import with_progress
from server.strict_arguments import strict_arguments
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

INSTRUCTIONS = (
    "Work goes in runs of a workflow, step by step. open_run and current_step say the step's purpose, rules "
    "and tools. read_context gives the evidence; quote it exactly. use_tool calls a tool of the step. "
    "submit_step ends it with an envelope and gives the next step. A write is refused with approval_required "
    "and a token until a human approves that very call out of band: then send exactly the same call with the "
    "token. A refusal's `code` and `message` say what to do next."
)
"""What a model that has never heard of Bailiwick reads first."""

CHANGES = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)
"""What a legacy client is told of; the modern era's capabilities follow from `subscriptions/listen`."""


class GatewayServer(Server[Any]):
    """The SDK's server, which tells legacy clients too that lists change."""

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        """As the SDK's own, with `CHANGES` where the caller names nothing."""
        return super().create_initialization_options(
            notification_options or CHANGES, experimental_capabilities, extensions
        )


def build_server(
    house: House,
    version: str,
    stdio_caller: Caller | None = None,
    *,
    announcer: Announcer | None = None,
    base_url: str | None = None,
) -> GatewayServer:
    """The MCP server over `house`. `stdio_caller` is who speaks when there is no HTTP request to carry a
    credential; `base_url` is where people find the approval page, None where there is none.
    """
    listening = Subscriptions(house, announcer or Announcer(house))
    gateway = _Gateway(house, ToolLists(house), listening, stdio_caller, base_url)
    server = GatewayServer(
        "bailiwick",
        version=version,
        title="Bailiwick",
        instructions=INSTRUCTIONS,
        cache_hints={"tools/list": CacheHint(ttl_ms=0, scope="private")},
        on_list_resources=gateway.list_resources,
        on_list_resource_templates=gateway.list_resource_templates,
        on_read_resource=gateway.read_resource,
        on_subscribe_resource=gateway.subscribe,
        on_unsubscribe_resource=gateway.unsubscribe,
        on_subscriptions_listen=gateway.listen,
        on_list_prompts=gateway.list_prompts,
        on_get_prompt=gateway.get_prompt,
        on_completion=gateway.complete,
        # Named so that the SDK does not run a whole tools/list for each call. It is no gate: the scope is
        # checked at the call.
        get_tool_input_schema=_no_mirrored_headers,
        on_call_tool=gateway.call_tool,
    )
    # Registered here because the lists are kept in wire form, which the constructor's types do not know.
    server.add_request_handler("tools/list", PaginatedRequestParams, gateway.list_tools)
    server.middleware.append(gateway.answer_lists)
    server.add_notification_handler("notifications/initialized", NotificationParams, gateway.greeted)
    server.middleware.append(state_boundary(house.ring, gateway.caller))
    return server


def _no_mirrored_headers(_name: str) -> Mapping[str, Any] | None:
    """No schema of ours asks for `Mcp-Param-*` headers, so there is nothing to validate and nothing to
    reveal.
    """
    return None


class _Gateway:
    def __init__(
        self,
        house: House,
        lists: ToolLists,
        listening: Subscriptions,
        stdio_caller: Caller | None,
        base_url: str | None,
    ) -> None:
        self._house = house
        self._lists = lists
        self._listening = listening
        self._stdio_caller = stdio_caller
        self._base_url = base_url

    async def list_tools(
        self, ctx: ServerRequestContext[Any, Any], params: PaginatedRequestParams
    ) -> dict[str, Any]:
        only_page(params)
        return self._lists.of(self.caller(ctx)).result

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
        listed = self._lists.of(self.caller(ctx))
        answer = listed.answers.get(ctx.protocol_version)
        if answer is None:
            answer = listed.answers[ctx.protocol_version] = await call_next(ctx)
        return answer

    async def call_tool(
        self, ctx: ServerRequestContext[Any, Any], params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult:
        caller = self.caller(ctx)
        token = brought_back(params)
        try:
            outcome = await with_progress(ctx, params.name, lambda: self._outcome(ctx, caller, params, token))
        except LedgerError as error:
            logger.error("the ledger cannot be used: %s", error)
            return unavailable()
        except FileRefused as error:
            logger.error("a stored workflow no longer fits the catalogue: %s", error)
            return unavailable()
        unknown = isinstance(outcome, Refused) and outcome.denial.code == "unknown_tool"
        if unknown and _desk_tool(caller, params.name) is None:
            raise unknown_tool(params.name)
        page = None if comes_again(params) else asks_for_page(ctx, outcome, self._base_url)
        return page or call_result(with_token(outcome, token))

    async def _outcome(
        self,
        ctx: ServerRequestContext[Any, Any],
        caller: Caller,
        params: CallToolRequestParams,
        token: str | None,
    ) -> Answer | Refused:
        """`token` is what came back with the call's own state; the client's code may bring one in `_meta`."""
        house, name = self._house, params.name
        given = await strict_arguments(ctx, params)
        if isinstance(given, Denial):
            return await refuse(house, caller, None, name, given)
        carried: object = (ctx.meta or {}).get(APPROVAL_META, token)
        if carried is not None and not isinstance(carried, str):
            wrong = Denial(
                "invalid_arguments",
                reason="the approval in _meta is no text",
                detail={"why": f"{APPROVAL_META} must be a text"},
            )
            return await refuse(house, caller, None, name, wrong)
        desk_tool = _desk_tool(caller, name)
        if desk_tool is not None:
            return await serve_desk(house, caller, desk_tool, given, carried)
        if caller.workflow is None:
            # At the desk a step's tools are used by name through use_tool; they are no tools of this list.
            unknown = Denial("unknown_tool", reason=f"{name[:128]} is not a tool of the desk")
            return await refuse(house, caller, None, name, unknown)
        run_id = given.pop("run_id", None) if caller.run is None else None
        arguments, approval = take_approval(given, carried)
        if isinstance(arguments, Denial):
            return await refuse(house, caller, None, name, arguments)
        return await call_tool(
            house, caller, run_id if isinstance(run_id, str) else None, name, arguments, approval
        )

    async def list_resources(
        self, ctx: ServerRequestContext[Any, Any], params: PaginatedRequestParams | None
    ) -> ListResourcesResult:
        return resources.listed(self._house, self.caller(ctx), params)

    async def list_resource_templates(
        self, ctx: ServerRequestContext[Any, Any], params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        only_page(params)
        return resources.templates(self.caller(ctx))

    async def read_resource(
        self, ctx: ServerRequestContext[Any, Any], params: ReadResourceRequestParams
    ) -> ReadResourceResult:
        with _ledger_at_work():
            return await resources.read(self._house, self.caller(ctx), params.uri)

    async def list_prompts(
        self, ctx: ServerRequestContext[Any, Any], params: PaginatedRequestParams | None
    ) -> ListPromptsResult:
        return prompts.listed(self._house, self.caller(ctx), params)

    async def get_prompt(
        self, ctx: ServerRequestContext[Any, Any], params: GetPromptRequestParams
    ) -> GetPromptResult:
        with _ledger_at_work():
            return await prompts.got(self._house, self.caller(ctx), params)

    async def complete(
        self, ctx: ServerRequestContext[Any, Any], params: CompleteRequestParams
    ) -> CompleteResult:
        with _ledger_at_work():
            return completions.complete(self._house, self.caller(ctx), params)

    async def listen(
        self, ctx: ServerRequestContext[Any, Any], params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        return await self._listening.listen(ctx, self.caller(ctx), params)

    async def subscribe(
        self, ctx: ServerRequestContext[Any, Any], params: SubscribeRequestParams
    ) -> EmptyResult:
        return await self._listening.subscribe(ctx, self.caller(ctx), params)

    async def unsubscribe(
        self, ctx: ServerRequestContext[Any, Any], params: UnsubscribeRequestParams
    ) -> EmptyResult:
        return await self._listening.unsubscribe(ctx, self.caller(ctx), params)

    async def greeted(self, ctx: ServerRequestContext[Any, Any], _params: NotificationParams) -> None:
        await self._listening.greeted(ctx, self.caller(ctx))

    def caller(self, ctx: ServerRequestContext[Any, Any]) -> Caller:
        request = cast("Request | None", ctx.request)
        caller = self._stdio_caller if request is None else request.scope.get("bailiwick.caller")
        if not isinstance(caller, Caller):
            # The HTTP layer lets no request without identity through; this is the second lock on the same
            # door.
            raise MCPError(code=-32600, message="This request carries no identity")
        return caller


@contextmanager
def _ledger_at_work() -> Generator[None]:
    """Where an answer is no tool result, a ledger that cannot be used is the protocol's internal error."""
    try:
        yield
    except (LedgerError, FileRefused) as error:
        logger.error("the ledger cannot be used, or a stored workflow no longer fits: %s", error)
        raise MCPError(code=INTERNAL_ERROR, message=CODES["unavailable"].message) from None


def _desk_tool(caller: Caller, name: str) -> DeskTool | None:
    """The desk's tool of that name, if this caller's list has it: a step's list holds only some of them."""
    tool = DESK.get(name)
    return tool if tool is not None and (tool.within_step or caller.workflow is None) else None
