"""Completing and judging the arguments of a call: what comes out is what is approved and what is executed.

Nothing here changes a text or guesses a value. A refusal tells the agent what to mend and never what the
run has bound.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import cast

from jsonschema_rs import ValidationError

from ledger.canonical import MAX_BYTES, CanonicalError, JsonObject, JsonValue, canonical, check_value
from policies.codes import Denial
from tool_scopes.catalogue import RESERVED_ARGUMENTS, View
from tool_scopes.views import ViewTool

_MOST_ERRORS = 3
_LONGEST_ERROR = 300


def complete_arguments(tool: ViewTool, given: JsonObject, state: JsonObject) -> JsonObject | Denial:
    """The arguments of one call in canonical form, or `invalid_arguments` with `detail.why` for the agent.

    `given` is what the agent sent, without the desk's own arguments; `state` is the run's state, which
    bound arguments come from. Defaults are filled at the top level only. The result is a fresh value: `1.0`
    has become `1`.
    """
    view = tool.view
    for name in given:
        if name in RESERVED_ARGUMENTS:
            return _invalid(f"`{name}` is no argument of {tool.name}.")
        if name in view.fixed or name in view.bound:
            return _invalid(f"`{name}` is set by this run; leave it out.")
    absent = next((key for key in view.bound.values() if key not in state), None)
    if absent is not None:
        return _invalid(
            f"This run's state has no `{absent}` yet; an earlier step has to find it and carry it on."
        )
    completed: JsonObject = {**tool.defaults, **given, **view.fixed}
    completed |= {name: state[key] for name, key in view.bound.items()}
    try:
        arguments = cast("JsonObject", check_value(completed))
        size = len(canonical(arguments))
    except CanonicalError as error:
        return _invalid(str(error))
    if size > MAX_BYTES:
        return _invalid(f"The arguments have {size} bytes as JSON; send at most {MAX_BYTES}.")
    if not tool.validator.is_valid(arguments):
        return _invalid(" ".join(_sentences(tool, arguments)))
    return arguments


def target_of(view: View, arguments: JsonObject) -> str:
    """What a write with these completed arguments acts on; for other effects, the tool itself.

    A view is only offered when every argument of its target is certain to be there.
    """
    if view.target is None:
        return f"tool:{view.tool}"
    return re.sub(r"\{([^{}]+)\}", lambda match: _as_text(arguments[match.group(1)]), view.target)


def _sentences(tool: ViewTool, arguments: JsonObject) -> list[str]:
    hidden = {*tool.view.fixed, *tool.view.bound}
    sentences: list[str] = []
    for error in islice(tool.validator.iter_errors(arguments), _MOST_ERRORS):
        sentence = _sentence(error, hidden)
        if sentence not in sentences:
            sentences.append(sentence)
    return sentences


def _sentence(error: ValidationError, hidden: set[str]) -> str:
    path = [str(part) for part in error.instance_path]
    if path and path[0] in hidden:
        # Even which rule it breaks would tell something of a value that the agent must not learn.
        return f"What this run sets for `{path[0]}` does not fit the tool; tell a human."
    where = f"`{'.'.join(path)}`: " if path else ""
    return f"{where}{error.message[:_LONGEST_ERROR]}."


def _as_text(value: JsonValue) -> str:
    return value if isinstance(value, str) else canonical(value).decode()


def _invalid(why: str) -> Denial:
    return Denial("invalid_arguments", reason=why, detail={"why": why})
