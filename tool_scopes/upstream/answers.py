"""From the raw result of a call to a value that may go on: bounded, well-formed, nothing in our name."""

from __future__ import annotations

import json

import jsonschema_rs

from ledger.canonical import JsonObject, JsonValue
from tool_scopes.upstream.tools import UpstreamResult

_OUR_META = "dev.bailiwick/"


class Unusable(ValueError):
    """An answer that cannot be used. The message is half a sentence: what is wrong with it."""


def read_result(raw: JsonObject, output: jsonschema_rs.Validator | None, most_bytes: int) -> UpstreamResult:
    """The result in `raw`, which must fit the tool's own output schema if it has one. Raises Unusable."""
    kind = raw.get("resultType", "complete")
    if kind != "complete":
        raise Unusable(f"with {str(kind)[:64]}, and what an upstream asks back is never answered")
    try:
        size = len(json.dumps(raw, ensure_ascii=False, allow_nan=False).encode())
    except (ValueError, RecursionError):
        raise Unusable("with what is not JSON") from None
    if size > most_bytes:
        raise Unusable(f"with {size} bytes, and the limit is {most_bytes}")
    content = raw.get("content")
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        raise Unusable("with what is no tool result")
    content = [_without_our_meta(block) for block in content]
    structured = raw.get("structuredContent")
    is_error = raw.get("isError") is True
    if output is not None and not is_error and not output.is_valid(structured):
        raise Unusable("with what does not fit the tool's own output schema")
    return UpstreamResult(is_error, content, structured, _text_of(content, structured))


def error_result(message: str) -> UpstreamResult:
    """A protocol error that the upstream itself answered, as the result that it is for the caller."""
    text = message[:4_000]
    return UpstreamResult(True, [{"type": "text", "text": text}], None, text)


def _without_our_meta(block: JsonValue) -> JsonValue:
    """An upstream cannot speak in our name: `_meta` keys of our prefix are dropped."""
    if not isinstance(block, dict) or not isinstance(meta := block.get("_meta"), dict):
        return block
    return {**block, "_meta": {key: value for key, value in meta.items() if not key.startswith(_OUR_META)}}


def _text_of(content: list[JsonValue], structured: JsonValue) -> str:
    texts = (
        block.get("text") for block in content if isinstance(block, dict) and block.get("type") == "text"
    )
    text = "\n".join(text for text in texts if isinstance(text, str))
    return text if text or structured is None else json.dumps(structured, ensure_ascii=False)
