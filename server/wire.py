"""From an operation's outcome to MCP: the one table that maps what happened to what a client reads.

A refusal's text is fixed for its code and carries the code itself, because several clients hand only the text
to the model. What an upstream said stands only under `result`.
"""

from __future__ import annotations

import json
from typing import Any

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, CallToolResult, TextContent

from ledger.canonical import JsonObject
from policies.codes import CODES
from tool_scopes.house import Answer
from tool_scopes.refusals import Refused


def unknown_tool(name: str) -> MCPError:
    """The one answer for a tool that does not exist, is out of scope, or belongs to somebody else (MCP:
    -32602).
    """
    return MCPError(code=INVALID_PARAMS, message=f"Unknown tool: {name}")


def call_result(outcome: Answer | Refused) -> CallToolResult:
    """The result of a `tools/call`: structured content, and a text copy of it."""
    if isinstance(outcome, Refused):
        denial = outcome.denial
        return _result({"code": denial.code, "message": denial.message, **denial.detail}, is_error=True)
    return _result({"code": outcome.code, **outcome.body}, is_error=outcome.is_error)


def unavailable() -> CallToolResult:
    """What a caller reads when something of ours failed: nothing about what it was."""
    return _result({"code": "unavailable", "message": CODES["unavailable"].message}, is_error=True)


def _result(body: JsonObject, *, is_error: bool) -> CallToolResult:
    structured: dict[str, Any] = body
    # Constructed without validation: every value here is ours, and this is on the path of each call.
    return CallToolResult.model_construct(
        content=[TextContent(type="text", text=json.dumps(body, ensure_ascii=False, separators=(",", ":")))],
        structured_content=structured,
        is_error=is_error,
    )
