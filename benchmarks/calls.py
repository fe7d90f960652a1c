"""One request as it goes over the wire in the modern era, and what its answer has to be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

PROTOCOL = "2026-07-28"


class WrongAnswer(Exception):
    """A subject answered something else than it should have. The measurement is worth nothing then."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool, or with an empty `tool` a `tools/list`, and what has to stand in its answer.

    `expects` holds paths into the result, such as `structuredContent.code`, each with the value that must be
    there.
    """

    tool: str
    arguments: Mapping[str, Any]
    expects: Mapping[str, Any]
    path: str = "/mcp"
    bearer: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict[str, Any])
    protocol: str = PROTOCOL


def wire_bytes(call: Call, number: int, port: int) -> bytes:
    """The whole HTTP request. `number` becomes its JSON-RPC id, which is unique among requests in flight."""
    meta: dict[str, Any] = {
        "io.modelcontextprotocol/protocolVersion": call.protocol,
        "io.modelcontextprotocol/clientCapabilities": {},
        **call.meta,
    }
    called: dict[str, Any] = {"name": call.tool, "arguments": call.arguments} if call.tool else {}
    params: dict[str, Any] = {**called, "_meta": meta}
    method = "tools/call" if call.tool else "tools/list"
    message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    body = json.dumps(message, separators=(",", ":")).encode()
    lines = [
        f"POST {call.path} HTTP/1.1",
        f"host: 127.0.0.1:{port}",
        "accept: application/json, text/event-stream",
        "content-type: application/json",
        f"content-length: {len(body)}",
        f"mcp-protocol-version: {call.protocol}",
        f"mcp-method: {method}",
        *([f"mcp-name: {call.tool}"] if call.tool else []),
    ]
    if call.bearer is not None:
        lines.append(f"authorization: Bearer {call.bearer}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def check_answer(call: Call, body: str) -> dict[str, Any]:
    """The result in an answer's body, once it is known to be what the call expects. Raises WrongAnswer."""
    try:
        result = json.loads(body)["result"]
    except (ValueError, KeyError, TypeError):
        raise WrongAnswer(f"{call.tool or 'tools/list'} was answered with no result: {body[:500]}") from None
    for path, expected in call.expects.items():
        found = _at(result, path)
        if found != expected or type(found) is not type(expected):
            raise WrongAnswer(f"{call.tool}: {path} is {found!r} and not {expected!r}: {body[:500]}")
    return result


def _at(value: Any, path: str) -> Any:
    for key in path.split("."):
        if not isinstance(value, dict):
            return None
        value = cast("dict[str, Any]", value).get(key)
    return value
