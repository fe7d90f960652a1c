"""What an upstream offers, what it answers, and how a call fails: plain values, free of any protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ledger.canonical import JsonObject, JsonValue, digest


@dataclass(frozen=True, slots=True)
class UpstreamTool:
    """One tool as its upstream lists it.

    `hints` are the upstream's own annotations: shown to admins, never believed.
    """

    name: str
    description: str
    input_schema: JsonObject
    output_schema: JsonObject | None = None
    hints: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue], compare=False)


@dataclass(frozen=True, slots=True)
class UpstreamResult:
    """What an upstream answered to one call, as it came.

    `text` joins the text blocks of `content` with newlines; without any it is `structured` as JSON.
    """

    is_error: bool
    content: list[JsonValue]
    structured: JsonValue
    text: str

    def as_json(self) -> JsonObject:
        """The answer in MCP's own spelling, for the one place where what an upstream said may stand."""
        said: JsonObject = {"isError": self.is_error, "content": self.content}
        return said if self.structured is None else {**said, "structuredContent": self.structured}


class UpstreamFailure(Exception):
    """A call brought no usable answer.

    `sent` is False only when it is certain that no byte of the call left this process; then there was no
    effect. Otherwise nobody knows what the upstream did. `reason` is one sentence for the ledger and for
    people.
    """

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent


class UpstreamUnavailable(Exception):
    """An upstream cannot be started, or its tool list cannot be used. The message says why and what to do."""


def fingerprint(endpoint: str, tool: UpstreamTool) -> str:
    """`sha256:…` over everything that an admin accepts of a tool: where it is, its name, words and schemas.

    Raises ledger.canonical.CanonicalError for a definition that has no canonical form (an integer beyond
    2^53-1, say).
    """
    return digest(
        "bailiwick-fingerprint-v1",
        {
            "endpoint": endpoint,
            "name": tool.name,
            "description": tool.description,
            "input_schema": tool.input_schema,
            "output_schema": tool.output_schema,
        },
    )
