"""Drafting a catalogue file for an upstream, and writing accepted fingerprints into one that an admin edited.

A draft claims nothing: every tool is a hidden write. What the upstream says of itself stands in comments,
for the admin to read and for no program.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import cast

import yaml

from ledger.canonical import JsonObject
from tool_scopes.catalogue import RESERVED_NAMES
from tool_scopes.catalogue_files import VIEW_NAME
from tool_scopes.upstream.servers import Server, StdioServer
from tool_scopes.upstream.tools import UpstreamTool, fingerprint
from tool_scopes.views import reserved_uses
from tool_scopes.yaml_files import FileRefused

_GUIDE = """\
# Drafted by `bailiwick upstream add`. Every tool starts as a hidden write: nobody can call it before you have
# said what it is. Comments under a tool are what the upstream says of itself. Judge for yourself, then edit:
#
#   effect     read: only looks                 lookup: looks beyond the run's own subject
#              simulate: shows what would be    write: changes something; every call needs a human's approval
#   hidden     false, once you have judged the tool
#   target     of a write: what a call acts on, such as "order:{order_id}"; two never overlap on one target
#   bound      argument: key of the run's state, such as {order_id: order_id}; agents can name no other
#   fixed      argument: value, such as {dry_run: true}; agents neither see it nor set it
#   name       what agents call it, if not UPSTREAM__TOOL; several views of one tool are a list
#   secrets    arguments whose values are sealed: neither kept in the log nor shown to anybody
#   sensitive  true: two reviewers have to approve, and a workflow can stop for a human first
#   no_effect_errors   regular expressions: an error like this means that nothing happened
#   precondition, affects, approval   see docs/catalogue.md
#
# ${NAME} in `env` and `headers` is filled in from the secrets file. A fingerprint says which version of a
# tool you accepted: when the upstream changes it, it is held back until `bailiwick upstream accept`.
"""
_COMMENT_WIDTH = 110
_LONGEST_COMMENT = 600


def draft_catalogue(
    name: str, server: Server, tools: Iterable[UpstreamTool], *, timeout_s: float = 30.0
) -> str:
    """The YAML text of a first catalogue file for upstream `name`.

    Raises FileRefused when the upstream is refused.
    """
    listed = sorted(tools, key=lambda tool: tool.name)
    reserved = reserved_uses(listed)
    if reserved:
        raise FileRefused(
            f"upstream {name} is refused: it uses {', '.join(reserved)}, which belong to Bailiwick's desk"
        )
    lines = [_GUIDE, f"upstream: {name}"]
    if isinstance(server, StdioServer):
        lines += [
            "transport: stdio",
            f"command: {_flow(list(server.command))}",
            f"env: {_flow(dict(server.env))}",
        ]
        lines += [f"cwd: {_flow(server.cwd)}"] if server.cwd is not None else []
    else:
        lines += ["transport: http", f"url: {_flow(server.url)}", f"headers: {_flow(dict(server.headers))}"]
    lines += [f"timeout: {timeout_s:g}", "tools:" if listed else "tools: {}"]
    taken: set[str] = set()
    for tool in listed:
        lines += _tool_lines(name, tool, server.endpoint, taken)
    return "\n".join(lines) + "\n"


def with_fingerprints(source: str, accepted: Mapping[str, str]) -> str:
    """A catalogue file's text with `accepted` fingerprints (tool → `sha256:…`) in all views of those tools.

    Everything else, comments too, stays as it is. Tools that the file does not name are left out.
    """
    root = cast("yaml.Node | None", yaml.compose(source, Loader=yaml.SafeLoader))  # pyright: ignore[reportUnknownMemberType]
    edits: list[tuple[int, int, str]] = []
    for tool, entry in _pairs(_value_of(root, "tools")):
        if tool not in accepted:
            continue
        views = cast("list[yaml.Node]", entry.value) if isinstance(entry, yaml.SequenceNode) else [entry]
        edits += [_fingerprint_edit(view, accepted[tool]) for view in views]
    for start, end, text in sorted(edits, reverse=True):
        source = source[:start] + text + source[end:]
    return source


def _tool_lines(upstream: str, tool: UpstreamTool, endpoint: str, taken: set[str]) -> list[str]:
    said = _comment(tool.description or "(no description)")
    said += _comment(f"arguments: {_arguments_of(tool)}")
    if tool.hints:
        said += _comment(f"its own hints, which nobody vouches for: {json.dumps(dict(tool.hints))}")
    entry = [f"{_key(tool.name)}:"]
    view_name = _view_name(upstream, tool.name, taken)
    if view_name != f"{upstream}__{tool.name}":
        entry.append(f"  name: {view_name}")
    entry += ["  effect: write", "  hidden: true", f"  fingerprint: {fingerprint(endpoint, tool)}"]
    return ["", *(f"  {line}" for line in (*said, *entry))]


def _view_name(upstream: str, tool: str, taken: set[str]) -> str:
    """A name that clients accept and that no other view of this file has."""
    wanted = re.sub(r"[^A-Za-z0-9_-]", "_", f"{upstream}__{tool}")[:64]
    name, number = wanted, 2
    while name in taken or name in RESERVED_NAMES or not VIEW_NAME.fullmatch(name):
        name, number = f"{wanted[:60]}_{number}", number + 1
    taken.add(name)
    return name


def _arguments_of(tool: UpstreamTool) -> str:
    properties = tool.input_schema.get("properties")
    required = tool.input_schema.get("required")
    must = required if isinstance(required, list) else []
    if not isinstance(properties, dict) or not properties:
        return "none"
    return ", ".join(
        f"{name} ({_type_of(part)}{'' if name in must else ', optional'})"
        for name, part in properties.items()
    )


def _type_of(schema: object) -> str:
    kind = cast("JsonObject", schema).get("type") if isinstance(schema, dict) else None
    return " or ".join(map(str, kind)) if isinstance(kind, list) else str(kind or "any")


def _comment(text: str) -> list[str]:
    """Comment lines.

    An upstream's text can hold line breaks of many kinds, and none of them may end the comment.
    """
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if len(plain) > _LONGEST_COMMENT:
        plain = plain[:_LONGEST_COMMENT] + " …"
    return textwrap.wrap(plain, _COMMENT_WIDTH - 4, initial_indent="# ", subsequent_indent="# ") or ["#"]


def _key(name: str) -> str:
    return name if re.fullmatch(r"[a-z][a-z0-9]*_[a-z0-9_]*", name) else _flow(name)


def _flow(value: object) -> str:
    """A value on one line, every text of it in double quotes."""
    text = yaml.safe_dump(
        value,
        default_flow_style=True,
        default_style='"',
        allow_unicode=True,
        width=1_000_000,
        sort_keys=False,
    )
    return text.strip()


def _pairs(node: yaml.Node | None) -> list[tuple[str, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        return []
    return [(str(key.value), value) for key, value in cast("list[tuple[yaml.Node, yaml.Node]]", node.value)]


def _value_of(node: yaml.Node | None, name: str) -> yaml.Node | None:
    return next((value for key, value in _pairs(node) if key == name), None)


def _fingerprint_edit(view: yaml.Node, accepted: str) -> tuple[int, int, str]:
    """What to write where, as (start, end, text) in characters of the file."""
    written = _value_of(view, "fingerprint")
    if written is not None:
        return written.start_mark.index, written.end_mark.index, accepted
    start = view.start_mark.index
    if not isinstance(view, yaml.MappingNode):
        # A tool that stands there with nothing said about it.
        return start, view.end_mark.index, f" {{fingerprint: {accepted}}}"
    if view.flow_style:
        return start + 1, start + 1, f"fingerprint: {accepted}{', ' if view.value else ''}"
    return start, start, f"fingerprint: {accepted}\n{' ' * view.start_mark.column}"
