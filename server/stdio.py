"""MCP over stdio: one client's pipe, joined to the server that owns the data folder.

When nobody owns the folder, this process becomes its owner first, on a free port of the loopback interface;
so there is one way in, the credential is judged at each request, and people at the command line reach the
folder meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, cast

import anyio
import httpx2
from mcp import Client
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server
from mcp_types import (
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    CompleteRequestParams,
    CompleteResult,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
)

from ledger.ids import is_id
from policies.agents import KEY_PREFIX
from server.app import product_version
from server.data_folder import DataFolder, is_loose
from server.errors import BadInput, RuleRefused, Unavailable
from server.gateway import INSTRUCTIONS
from server.ownership import FolderOwned
from server.serving import serving
from server.settings import Settings
from server.strict_pipe import standard_input
from tool_scopes.passes import PREFIX as PASS_PREFIX

_TIMEOUTS: Final = httpx2.Timeout(30.0, read=900.0)
_PROTOCOL_META: Final = "io.modelcontextprotocol/"
_LONGEST_KEY_FILE: Final = 1_024


async def serve_stdio(folder: DataFolder, settings: Settings) -> None:
    """Speak MCP on standard input and output until the client closes it."""
    credential = agent_credential(settings)
    async with _owner_url(folder, settings) as url, _joined(url, credential) as session:
        server = _forwarding(session)
        lines = cast("anyio.AsyncFile[str]", standard_input())
        async with stdio_server(stdin=lines) as (read, write):
            await server.run(read, write, server.create_initialization_options())


def agent_credential(settings: Settings) -> str:
    """The agent key, or step pass, from the environment or from a key file. `BadInput` when there is none."""
    if settings.agent_key is not None:
        text = settings.agent_key.get_secret_value()
    elif settings.agent_key_file is not None:
        text = _read_key(settings.agent_key_file.expanduser())
    else:
        raise BadInput(
            "No agent speaks here: put its key in BAILIWICK_AGENT_KEY, or name a file that holds it with "
            "--agent-key-file."
        )
    credential = text.strip()
    if not (is_id(KEY_PREFIX, credential) or is_id(PASS_PREFIX, credential)):
        raise BadInput(
            "The agent key is malformed; it is `bwk_` and 26 characters, as `bailiwick agent add` printed it."
        )
    return credential


def _read_key(path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST_KEY_FILE).decode()
            loose = is_loose(path.stat())
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"The agent key file {path} cannot be read ({error}).") from None
    if loose:
        raise BadInput(f"The agent key file {path} can be read by other accounts; run `chmod 600 {path}`.")
    return text


@asynccontextmanager
async def _owner_url(folder: DataFolder, settings: Settings) -> AsyncGenerator[str]:
    """The MCP endpoint of whoever owns the folder: another process, or this one for as long as the block
    lasts.
    """
    own_port = settings.model_copy(
        update={"host": "127.0.0.1", "port": 0, "tls_certificate": None, "tls_key": None}
    )
    owner_url: str | None = None
    try:
        async with serving(folder, own_port) as (url, _):
            yield url
            return
    except FolderOwned as owned:
        if owned.owner is None or owned.owner.url is None:
            raise
        owner_url = owned.owner.url
    yield f"{owner_url}/mcp"


@asynccontextmanager
async def _joined(url: str, credential: str) -> AsyncGenerator[ClientSession]:
    """A session with the owner as the agent; `RuleRefused` when the owner does not know the key."""
    headers = {"authorization": f"Bearer {credential}"}
    async with httpx2.AsyncClient(headers=headers, timeout=_TIMEOUTS, trust_env=False) as wire:
        await _check_credential(wire, url)
        async with Client(streamable_http_client(url, http_client=wire), cache=None) as client:
            yield client.session


async def _check_credential(wire: httpx2.AsyncClient, url: str) -> None:
    try:
        answer = await wire.post(url, json={})
    except httpx2.HTTPError as error:
        raise Unavailable(
            f"The server that owns the data folder does not answer at {url} ({type(error).__name__}); stop "
            "it and start this again."
        ) from None
    if answer.status_code == 401:
        raise RuleRefused(
            "The agent key is not known here, or was revoked; an admin gives a new one with `bailiwick "
            "agent add`."
        )


def _forwarding(session: ClientSession) -> Server[Any]:
    """A server that answers nothing by itself: each request goes on once, under the agent's credential."""

    async def list_tools(
        _ctx: ServerRequestContext[Any, Any], params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        return await session.list_tools(params=_bare(params))

    async def call_tool(ctx: ServerRequestContext[Any, Any], params: CallToolRequestParams) -> CallToolResult:
        meta: dict[str, Any] = {
            name: value for name, value in (ctx.meta or {}).items() if not name.startswith(_PROTOCOL_META)
        }
        meta.pop("progress_token", None)
        passed = {"name": params.name, "arguments": params.arguments, "_meta": meta}
        request = CallToolRequest(params=CallToolRequestParams.model_validate(passed))
        return await session.send_request(request, CallToolResult)

    async def list_resources(
        _ctx: ServerRequestContext[Any, Any], params: PaginatedRequestParams | None
    ) -> ListResourcesResult:
        return await session.list_resources(params=_bare(params))

    async def list_resource_templates(
        _ctx: ServerRequestContext[Any, Any], params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        return await session.list_resource_templates(params=_bare(params))

    async def read_resource(
        _ctx: ServerRequestContext[Any, Any], params: ReadResourceRequestParams
    ) -> ReadResourceResult:
        return await session.read_resource(params.uri)

    async def list_prompts(
        _ctx: ServerRequestContext[Any, Any], params: PaginatedRequestParams | None
    ) -> ListPromptsResult:
        return await session.list_prompts(params=_bare(params))

    async def get_prompt(
        _ctx: ServerRequestContext[Any, Any], params: GetPromptRequestParams
    ) -> GetPromptResult:
        return await session.get_prompt(params.name, params.arguments)

    async def complete(_ctx: ServerRequestContext[Any, Any], params: CompleteRequestParams) -> CompleteResult:
        argument = {"name": params.argument.name, "value": params.argument.value}
        known = None if params.context is None else params.context.arguments
        return await session.complete(params.ref, argument, known)

    return Server[Any](
        "bailiwick",
        version=product_version(),
        title="Bailiwick",
        instructions=INSTRUCTIONS,
        cache_hints={"tools/list": CacheHint(ttl_ms=0, scope="private")},
        get_tool_input_schema=_no_mirrored_headers,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_resource_templates,
        on_read_resource=read_resource,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete,
    )


def _bare(params: PaginatedRequestParams | None) -> PaginatedRequestParams:
    """The cursor alone: what the pipe's protocol says of itself is not passed on."""
    return PaginatedRequestParams(cursor=None if params is None else params.cursor)


def _no_mirrored_headers(_name: str) -> None:
    """No schema of ours asks for `Mcp-Param-*` headers."""
    return
