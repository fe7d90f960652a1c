"""Counting MCP requests as they pass: how long each took, and what came of a tool call."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult

from server.metrics import Metrics

logger = logging.getLogger("bailiwick.calls")


class Metering:
    """Stands around every request of the MCP server; changes none."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Pass the request on, and count it."""
        if ctx.request_id is None:
            return await call_next(ctx)
        began, code = perf_counter(), "error"
        self._metrics.began()
        try:
            result = await call_next(ctx)
            code = _code(result)
            return result
        except MCPError as error:
            code = str(error.error.code)
            raise
        finally:
            seconds = perf_counter() - began
            self._metrics.answered(ctx.method, seconds)
            if ctx.method == "tools/call":
                tool = _tool(ctx.params)
                self._metrics.called(tool, code)
                # At debug: the ledger has every call, and says more.
                logger.debug("%s: %s in %.1f ms", tool, code, seconds * 1_000)


def _code(result: HandlerResult) -> str:
    """The code of a tool's answer, before or after it was put into wire form; else `done`."""
    match result:
        case CallToolResult(structured_content={"code": str(code)}):
            return code
        case {"structuredContent": {"code": str(code)}}:
            return code
        case _:
            return "done"


def _tool(params: object) -> str:
    """The tool that was meant; at the desk it is the one that `use_tool` names."""
    match params:
        case {"name": "use_tool", "arguments": {"tool": str(name)}} | {"name": str(name)}:
            return name
        case _:
            return ""
