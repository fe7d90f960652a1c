"""Facts about a write's target, read from its upstream: which version it has, and how much would be touched.

They are read when a write is asked for and again before it is made, each time by one call that changes
nothing, and stand in the canonical call as its precondition. So reviewers sign for the target as it was,
and a target that changed since closes the approval without spending it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger.canonical import (
    CanonicalError,
    JsonObject,
    JsonValue,
    canonical,
    check_value,
    parse_strict,
    text_digest,
)
from policies.codes import Denial
from tool_scopes.arguments import complete_arguments
from tool_scopes.house import House
from tool_scopes.upstream.tools import UpstreamFailure, UpstreamResult
from tool_scopes.views import FactTool, ViewTool

_LONGEST: Final = 200  # bytes of a fact that reviewers read as it is; a longer one is named by its digest


@dataclass(frozen=True, slots=True)
class Facts:
    """The precondition of a call; or, in `trouble`, why it could not be read."""

    precondition: str | None = None
    trouble: str | None = None

    def covers(self, tool: ViewTool) -> bool:
        """Whether these are all the facts that a call of this tool needs."""
        return self.precondition is not None or not tool.facts


NO_FACTS: Final = Facts()


async def read_facts(house: House, tool: ViewTool, arguments: JsonObject, state: JsonObject) -> Facts:
    """Read every fact of a write with these complete arguments. A tool without any costs nothing."""
    if not tool.facts:
        return NO_FACTS
    found: JsonObject = {}
    for name, fact in tool.facts.items():
        try:
            found[name] = await _read(house, fact, arguments, state, whole_number=name == "rows")
        except (UpstreamFailure, _Unreadable) as error:
            return Facts(trouble=f"the {name} of the target cannot be read through {fact.tool.name}: {error}")
    return Facts(canonical(found).decode())


class _Unreadable(LookupError):
    """What the upstream answered holds no such fact."""


async def _read(
    house: House, fact: FactTool, arguments: JsonObject, state: JsonObject, *, whole_number: bool
) -> JsonValue:
    view = fact.tool.view
    given: JsonObject = {taken: arguments[name] for taken, name in fact.arguments.items()}
    complete = complete_arguments(fact.tool, given, state)
    if isinstance(complete, Denial):
        raise _Unreadable(complete.reason)
    answer = await house.upstreams[view.upstream].call(view.tool, complete, house.timeout_s(fact.tool))
    if answer.is_error:
        raise _Unreadable("it answered with an error")
    value = at_pointer(_structured(answer), fact.pointer)
    if whole_number and (type(value) is not int or value < 0):
        raise _Unreadable(f"at {fact.pointer} stands no count")
    spelled = canonical(value).decode()
    return value if len(spelled.encode()) <= _LONGEST else text_digest(spelled)


def _structured(answer: UpstreamResult) -> JsonValue:
    try:
        if answer.structured is not None:
            return check_value(answer.structured)
        return parse_strict(answer.text, max_bytes=len(answer.text.encode()))
    except (CanonicalError, UnicodeError):
        raise _Unreadable("its answer is no data") from None


def at_pointer(value: JsonValue, pointer: str) -> JsonValue:
    """What a JSON Pointer (RFC 6901) points to in a value."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            raise _Unreadable(f"its answer has nothing at {pointer}")
    return value
