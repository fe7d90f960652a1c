"""A first draft of a workflow: it loads as it is, and its comments say what to change."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from tool_scopes.workflow_checks import allowance
from tool_scopes.workflows import StepKind


class DraftRefused(ValueError):
    """No draft can be made of these tools; one sentence for the person at the terminal."""


_STEPS: Mapping[str, tuple[StepKind, str]] = {
    "read": (StepKind.READ, "Find out what is asked for and what there is."),
    "classify": (StepKind.CLASSIFY, "Decide what kind of case this is."),
    "plan": (StepKind.PLAN, "Work out what should be done, and check what it would do."),
    "draft": (StepKind.DRAFT, "Write down the exact action to propose. Nothing is carried out here."),
    "execute": (StepKind.EXECUTE, "Carry out what people approved, once."),
}
_HOME = {"read": "read", "lookup": "classify", "simulate": "plan", "write": "execute"}
"""The step that a tool of each effect goes into."""


def draft_workflow(
    name: str, tools: list[str], effects: Mapping[str, str], bound: Mapping[str, frozenset[str]]
) -> str:
    """The YAML of a workflow that uses these tools, each in a step whose kind allows it."""
    held: dict[str, list[str]] = {"read": [], "draft": []}
    for tool in tools:
        effect = effects.get(tool)
        if effect is None:
            known = ", ".join(sorted(effects)) or "none yet: add an upstream first"
            raise DraftRefused(f"The catalogue does not offer {tool[:128]}; it offers {known}.")
        held.setdefault(_HOME[effect], []).append(tool)
    for step, most in (("classify", "lookup"), ("execute", "write")):
        if len(held.get(step, ())) > 1:
            raise DraftRefused(
                f"A step of kind {step} holds one {most} tool, and {', '.join(held[step])} are several; name "
                "one, and add a step for each other one by hand."
            )
    names = [step for step in _STEPS if step in held]
    keys = sorted({key for tool in tools for key in bound.get(tool, ())} - {"request"})
    return (
        "\n".join([*_head(name, keys), *(line for step in names for line in _step(step, names, held))]) + "\n"
    )


def _head(name: str, keys: list[str]) -> Iterator[str]:
    yield "# A draft: change it, then run `bailiwick workflow check`. docs/workflows.md says every key."
    yield f"workflow: {name}"
    yield "version: 1                  # raise it with every change; a run keeps the one it started with"
    yield "purpose: Say in a sentence what this workflow is for."
    yield "input:                      # JSON Schema of what opens a run; tools are bound to these keys"
    yield "  type: object"
    yield "  properties:"
    for key in keys:
        yield f"    {_text(key)}: {{type: string, minLength: 1, maxLength: 200}}"
    yield "    request: {type: string, minLength: 1, maxLength: 4000, description: What is asked for.}"
    yield f"  required: [{', '.join([*map(_text, keys), 'request'])}]"
    yield "  additionalProperties: false"
    if keys:
        yield f"subject: {_text(keys[0])}    # what a run is about: refused envelopes are counted by it"
    yield "start: read"
    yield "steps:"


def _step(name: str, names: list[str], held: Mapping[str, list[str]]) -> Iterator[str]:
    kind, purpose = _STEPS[name]
    following = names[names.index(name) + 1 :][:1]
    yield f"  {name}:"
    yield f"    kind: {kind.value}              # may hold at most: {allowance(kind)}"
    yield f"    purpose: {purpose}"
    if kind is not StepKind.EXECUTE:
        yield "    context:                # which evidence it may search; [] is every collection"
        yield '      {collections: [], need: "{request}", budget: 600}'
    if held.get(name):
        yield f"    tools: [{', '.join(held[name])}]"
    yield "    output:                 # JSON Schema of `state` in the envelope that ends the step"
    yield "      type: object"
    yield f"      properties: {{{name}_result: {{type: string, minLength: 1, maxLength: 2000}}}}"
    yield f"      required: [{name}_result]"
    if following:
        yield f"    carry: [{name}_result]"
        yield "    checkpoints: {confidence_below: 0.6}"
    else:
        yield (
            "    limits: {executions: 1, retries: 3}"
            if kind is StepKind.EXECUTE
            else "    limits: {retries: 3}"
        )
    yield f"    next: [{', '.join(following)}]"


def _text(key: str) -> str:
    """A key as YAML reads it back: as it is where it is plain, else quoted."""
    return (
        key
        if key.isidentifier() and key.isascii() and key not in ("true", "false", "null")
        else json.dumps(key)
    )
