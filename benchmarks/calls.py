"""One request as it goes over the wire in the modern era, and what its answer has to be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

PROTOCOL = "2026-07-28"
LIST = "tools/list"


class WrongAnswer(Exception):
    """A subject answered something else than it should have. The measurement is worth nothing then."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request and what has to stand in its answer; `tool` and `arguments` are of a `tools/call`.

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
    method: str = "tools/call"


def wire_bytes(call: Call, number: int, port: int) -> bytes:
    """The whole HTTP request. `number` becomes its JSON-RPC id, which is unique among requests in flight."""
    body = message_of(call, number)
    lines = [
        f"POST {call.path} HTTP/1.1",
        f"host: 127.0.0.1:{port}",
        f"content-length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers_of(call).items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def message_of(call: Call, number: int) -> bytes:
    """The JSON-RPC message; `number` is its id."""
    meta: dict[str, Any] = {
        "io.modelcontextprotocol/protocolVersion": call.protocol,
        "io.modelcontextprotocol/clientCapabilities": {},
        **call.meta,
    }
    named = {"name": call.tool, "arguments": call.arguments} if call.method == "tools/call" else {}
    message = {"jsonrpc": "2.0", "id": number, "method": call.method, "params": {**named, "_meta": meta}}
    return json.dumps(message, separators=(",", ":")).encode()


def headers_of(call: Call) -> dict[str, str]:
    """The headers of the request, but for host and length."""
    headers = {
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
        "mcp-protocol-version": call.protocol,
        "mcp-method": call.method,
    }
    if call.method == "tools/call":
        headers["mcp-name"] = call.tool
    if call.bearer is not None:
        headers["authorization"] = f"Bearer {call.bearer}"
    return headers


def check_answer(call: Call, body: str) -> dict[str, Any]:
    """The result in an answer's body, once it is known to be what the call expects. Raises WrongAnswer."""
    try:
        result = json.loads(body)["result"]
    except (ValueError, KeyError, TypeError):
        raise WrongAnswer(f"{call.tool or call.method} was answered with no result: {body[:500]}") from None
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
