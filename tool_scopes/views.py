"""From a catalogue's view and the live tool to what an agent sees, and to what its calls are checked against.

The schema that is shown leaves out what is fixed or bound; the full schema, compiled once, judges the
completed arguments. A tool that is not exactly as the admin accepted it is quarantined: it is in no list
and cannot be called.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, cast

import jsonschema_rs

from ledger.canonical import CanonicalError, JsonObject, JsonValue, check_value
from tool_scopes.catalogue import APPROVAL_ARGUMENT, RESERVED_ARGUMENTS, RESERVED_NAMES, Effect, View
from tool_scopes.schemas import SchemaRefused, compile_arguments, usable_defaults, without_arguments
from tool_scopes.upstream.tools import UpstreamTool, fingerprint

APPROVAL_DESCRIPTION: Final = (
    "Leave this out at first: the answer is `approval_required` with a token that starts with apr_. "
    "When people have approved, send exactly the same call again with that token here."
)
"""Teaches an agent that knows nothing of Bailiwick how a write is done."""


class ViewRefused(ValueError):
    """A view does not fit the live tool. The message says why and what the admin can do."""


@dataclass(frozen=True, slots=True, eq=False)
class ViewTool:
    """One view over one live tool, ready to be listed and called."""

    view: View
    name: str
    description: str
    input_schema: JsonObject
    """What agents see: nothing fixed, nothing bound, and the approval token on a write."""
    full_schema: JsonObject
    """The upstream's own schema, which completed arguments are validated against."""
    validator: jsonschema_rs.Validator
    defaults: Mapping[str, JsonValue]
    """The defaults of top-level arguments, as they are filled in before a call is judged."""
    required: frozenset[str]
    """Arguments that the full schema requires."""
    output_schema: JsonObject | None = None
    """The upstream's own word for its structured content, accepted with its fingerprint; None without one."""
    facts: Mapping[str, FactTool] = field(default_factory=dict[str, "FactTool"])
    """What is read about the target before a write, by name."""

    @property
    def effect(self) -> Effect:
        """The effect that the catalogue gives the tool."""
        return self.view.effect


@dataclass(frozen=True, slots=True, eq=False)
class FactTool:
    """A fact's view over its live tool. `arguments`: the tool's argument → the write's."""

    tool: ViewTool
    pointer: str
    arguments: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Offer:
    """What one upstream's views come to: tools by view name, and why others are held back."""

    tools: Mapping[str, ViewTool]
    quarantined: Mapping[str, str]


def build_view(view: View, tool: UpstreamTool) -> ViewTool:
    """The view over its live tool. Raises ViewRefused when the two do not fit together."""
    try:
        schema = cast("JsonObject", check_value(tool.input_schema))
        validator = compile_arguments(schema)
    except (CanonicalError, SchemaRefused) as error:
        raise ViewRefused(f"{view.name}: the input schema of {tool.name} cannot be used: {error}") from None
    properties = _properties(schema)
    _refuse_reserved(view, tool, properties)
    for argument in (*view.fixed, *view.bound, *sorted(view.secrets)):
        if argument not in properties:
            raise ViewRefused(
                f"{view.name}: {tool.name} has no argument {argument}; it has {_listed(properties)}"
            )
    defaults = usable_defaults(schema)
    required = frozenset(str(name) for name in cast("list[JsonValue]", schema.get("required", [])))
    certain = required | set(defaults) | set(view.fixed) | set(view.bound)
    missing = next((name for name in view.target_arguments if name not in certain), None)
    if missing is not None:
        raise ViewRefused(
            f"{view.name}: the target names {missing}, which a call of {tool.name} need not have; "
            f"use arguments that it requires: {_listed(required)}"
        )
    shown = without_arguments(schema, frozenset((*view.fixed, *view.bound)))
    if view.is_write:
        shown = _with_approval_token(shown)
    return ViewTool(
        view=view,
        name=view.name,
        description=view.description or tool.description,
        input_schema=shown,
        full_schema=schema,
        validator=validator,
        defaults=defaults,
        required=required,
        output_schema=tool.output_schema,
    )


def check_fingerprints(
    views: Iterable[View], endpoint: str, tools: Mapping[str, UpstreamTool]
) -> Mapping[str, str]:
    """The views of one upstream whose tool is not as accepted: view name → why, with what the admin can do.

    `tools` are the live tools by name at `endpoint`.
    """
    quarantined: dict[str, str] = {}
    for view in views:
        tool = tools.get(view.tool)
        if tool is None:
            quarantined[view.name] = f"{view.upstream} no longer offers a tool {view.tool}"
        elif view.fingerprint is None:
            quarantined[view.name] = (
                f"{view.tool} is not accepted yet; see it, then `bailiwick upstream accept {view.upstream}`"
            )
        elif view.fingerprint != _live_fingerprint(endpoint, tool):
            quarantined[view.name] = (
                f"{view.tool} is not what was accepted: its place, description or schema changed; see "
                f"`bailiwick upstream diff {view.upstream}`, then `bailiwick upstream accept {view.upstream}`"
            )
    return quarantined


def acceptance(views: Iterable[View], endpoint: str) -> Callable[[UpstreamTool], bool]:
    """Whether a live tool at `endpoint` is as an admin accepted it, for any of these views."""
    accepted = {(view.tool, view.fingerprint) for view in views if view.fingerprint is not None}
    return lambda tool: (tool.name, _live_fingerprint(endpoint, tool)) in accepted


def differences(
    views: Iterable[View], endpoint: str, tools: Mapping[str, UpstreamTool]
) -> Mapping[str, str | None]:
    """The tools that are not what was accepted: name → the fingerprint of now, None without one."""
    found: dict[str, str | None] = {}
    for view in views:
        tool = tools.get(view.tool)
        now = None if tool is None else _live_fingerprint(endpoint, tool)
        if view.fingerprint not in (None, now):
            found[view.tool] = now
    return found


def offer_views(
    views: Iterable[View],
    endpoint: str,
    tools: Mapping[str, UpstreamTool],
    build: Callable[[View, UpstreamTool], ViewTool] = build_view,
) -> Offer:
    """Of one upstream's views, those that can be used now; hidden ones are in neither part."""
    known = {view.name: view for view in views}
    sources = {source.view for view in known.values() if not view.hidden for source in view.facts.values()}
    # What only gives facts is looked at like what agents are shown, and offered to nobody.
    used = [view for view in known.values() if not view.hidden or view.name in sources]
    quarantined = dict(check_fingerprints(used, endpoint, tools))
    built: dict[str, ViewTool] = {}
    for view in used:
        if view.name not in quarantined:
            try:
                built[view.name] = build(view, tools[view.tool])
            except ViewRefused as error:
                quarantined[view.name] = str(error)
    for view in used:
        if view.facts and view.name in built:
            try:
                built[view.name] = _with_facts(built[view.name], built, quarantined)
            except ViewRefused as error:
                quarantined[view.name] = str(error)
    shown = {view.name for view in used if not view.hidden}
    offered = {name: tool for name, tool in built.items() if name in shown and name not in quarantined}
    return Offer(offered, {name: why for name, why in quarantined.items() if name in shown})


def _with_facts(write: ViewTool, built: Mapping[str, ViewTool], quarantined: Mapping[str, str]) -> ViewTool:
    """The write with the live tools that read its facts. Raises ViewRefused: no write without its facts."""
    facts: dict[str, FactTool] = {}
    certain = write.required | set(write.defaults) | set(write.view.fixed) | set(write.view.bound)
    for name, source in write.view.facts.items():
        tool = built.get(source.view)
        if tool is None:
            raise ViewRefused(f"{write.name}: its {name} cannot be read: {quarantined[source.view]}")
        own = tool.required - set(tool.view.fixed) - set(tool.view.bound) - set(tool.defaults)
        arguments = {**{name: name for name in own}, **source.arguments}
        for taken, given in arguments.items():
            if given not in certain:
                raise ViewRefused(
                    f"{write.name}: {source.view} needs {taken}, but a call of it need not have {given}"
                )
            if given in write.view.secrets:
                raise ViewRefused(f"{write.name}: {source.view} would be handed {given}, which is secret")
        facts[name] = FactTool(tool, source.pointer, arguments)
    return replace(write, facts=facts)


def reserved_uses(tools: Iterable[UpstreamTool]) -> tuple[str, ...]:
    """Names of the desk that an upstream uses, as `tool` or `tool.argument`; such an upstream is refused."""
    found: list[str] = []
    for tool in tools:
        if tool.name in RESERVED_NAMES:
            found.append(tool.name)
        found += [
            f"{tool.name}.{name}" for name in _properties(tool.input_schema) if name in RESERVED_ARGUMENTS
        ]
    return tuple(found)


def _refuse_reserved(view: View, tool: UpstreamTool, properties: Iterable[str]) -> None:
    if view.name in RESERVED_NAMES or tool.name in RESERVED_NAMES:
        raise ViewRefused(f"{view.name}: {tool.name} takes a name of the desk; such a tool is refused")
    reserved = next((name for name in properties if name in RESERVED_ARGUMENTS), None)
    if reserved is not None:
        raise ViewRefused(
            f"{view.name}: {tool.name} has an argument {reserved}, a name of the desk; such a tool is refused"
        )


def _live_fingerprint(endpoint: str, tool: UpstreamTool) -> str | None:
    try:
        return fingerprint(endpoint, tool)
    except CanonicalError:
        return None


def _properties(schema: JsonObject) -> dict[str, JsonValue]:
    properties = schema.get("properties")
    return properties if isinstance(properties, dict) else {}


def without_token(schema: JsonObject) -> JsonObject:
    """What is shown of a write, as the arguments that can be proposed: a proposal carries no token."""
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return schema
    return {**schema, "properties": {key: one for key, one in properties.items() if key != APPROVAL_ARGUMENT}}


def _with_approval_token(schema: JsonObject) -> JsonObject:
    token: JsonObject = {"type": "string", "description": APPROVAL_DESCRIPTION}
    return {**schema, "properties": {**copy.deepcopy(_properties(schema)), APPROVAL_ARGUMENT: token}}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
