"""Upstreams as operations: drafting the catalogue for a new one, and accepting what changed in one.

Each starts the upstream for itself, looks at its tools and ends it again; a running server goes on with
what it loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, cast

from pydantic import Field, model_validator

from ledger.canonical import JsonObject, JsonValue
from ledger.entries import Entry
from policies.principals import Person
from policies.taking import Part
from server.accepted_tools import difference, keep_definitions, kept_definitions
from server.data_folder import DataFolder, write_private
from server.errors import BadInput, RuleRefused
from server.operations.agreeing import agreeing
from server.operations.operation import Arguments, NoArguments, Operation, OperationDesk
from server.seeing_upstreams import absent
from server.taking_files import tools_of
from tool_scopes.catalogue import Catalogue, CatalogueUpstream, View
from tool_scopes.catalogue_drafts import draft_catalogue, with_fingerprints
from tool_scopes.catalogue_files import load_catalogue, parse_upstream
from tool_scopes.secrets_file import read_secrets
from tool_scopes.upstream.servers import HttpServer, StdioServer, Surroundings
from tool_scopes.upstream.tools import UpstreamTool, UpstreamUnavailable, fingerprint
from tool_scopes.views import check_fingerprints
from tool_scopes.yaml_files import read_text_file

FIRST_START_S: Final = 120.0
"""How long an upstream may take to be ready when it is looked at: its program may be downloaded first."""

_ADVICE: Final = "; it sees no variable of yours but those of --env NAME=VALUE, such as a proxy's"


class AddUpstream(Arguments):
    """A new upstream: a command to start, or a URL."""

    name: str = Field(max_length=32)
    command: list[str] = Field(default_factory=list[str], max_length=200)
    env: dict[str, str] = Field(default_factory=dict[str, str])
    cwd: str | None = None
    url: str | None = None
    headers: dict[str, str] = Field(default_factory=dict[str, str])

    @model_validator(mode="after")
    def _one_way_to_reach_it(self) -> AddUpstream:
        if bool(self.command) == (self.url is not None):
            raise ValueError("give a command after --, or a --url, and not both")
        return self


class OneUpstream(Arguments):
    """An upstream by its name."""

    name: str = Field(max_length=32)


class AcceptUpstream(OneUpstream):
    """What is accepted: the fingerprint of each tool, as the admin saw it."""

    tools: dict[str, str] = Field(min_length=1)


def _add(desk: OperationDesk, person: Person, given: AddUpstream) -> JsonObject:
    path = desk.folder.catalogue_dir / f"{given.name}.yaml"
    server = (
        StdioServer(tuple(given.command), given.env, given.cwd)
        if given.url is None
        else HttpServer(given.url, given.headers)
    )
    # The empty draft is read as a file is: a bad name or address is refused before anything starts.
    upstream = parse_upstream(draft_catalogue(given.name, server, ()), path=path.name).upstream
    if path.exists():
        raise RuleRefused(
            f"There is an upstream {given.name} already; edit {path}, or remove that file and add it again."
        )
    tools = desk.wait(_tools_of, desk.folder, upstream)
    text = draft_catalogue(given.name, server, tools.values())
    parse_upstream(text, path=path.name)
    keep_definitions(desk.folder, given.name, tools)
    write_private(path, text.encode())
    _note(
        desk, person, upstream, {name: fingerprint(upstream.endpoint, tool) for name, tool in tools.items()}
    )
    return {
        "upstream": given.name,
        "file": str(path),
        "tools": [_tool(tool) for tool in tools.values()],
        "served": desk.served,
    }


def _list(desk: OperationDesk, _person: Person, _given: NoArguments) -> JsonObject:
    catalogue = _catalogue(desk)
    house = desk.open_house
    running = None if house is None else house.upstreams
    held_back: dict[str, str] = {}
    if house is not None:
        offering = house.scopes.offering
        held_back = {**offering.held_back, **absent(catalogue, house.upstreams, offering)}
    return {
        "upstreams": [
            {
                "upstream": name,
                "endpoint": upstream.endpoint,
                "running": None if running is None else _failure(running.get(name)) is None,
                "trouble": None if running is None else _failure(running.get(name)),
                "views": [_view(view, held_back.get(view.name)) for view in catalogue.views_of(name)],
            }
            for name, upstream in sorted(catalogue.upstreams.items())
        ]
    }


def _diff(desk: OperationDesk, _person: Person, given: OneUpstream) -> JsonObject:
    path, upstream, views = _filed(desk.folder, given.name)
    tools = desk.wait(_tools_of, desk.folder, upstream)
    before = kept_definitions(desk.folder, given.name)
    held_back = check_fingerprints(views, upstream.endpoint, tools)
    changed = {view.tool: held_back[view.name] for view in views if view.name in held_back}
    listed = {view.tool for view in views}
    found: list[JsonValue] = []
    for name in sorted({*changed, *(tools.keys() - listed)}):
        tool = tools.get(name)
        lines = difference(name, before.get(name), tool)
        why = changed.get(name, f"{name} is new: nobody can call it until {path.name} has an entry for it")
        if name in changed and name in before and not lines:
            why = (
                "its words and schemas are as they were accepted, but not its place: the command, the folder "
                "it starts in, the names of its variables, or the URL"
            )
        found.append(
            {
                "tool": name,
                "why": why,
                "fingerprint": (
                    None if tool is None or name not in listed else fingerprint(upstream.endpoint, tool)
                ),
                "diff": list[JsonValue](lines),
            }
        )
    return {
        "upstream": given.name,
        "same": len(tools) - len(changed.keys() & tools.keys()),
        "differences": found,
    }


def _accept(desk: OperationDesk, person: Person, given: AcceptUpstream) -> JsonObject:
    path, upstream, _ = _filed(desk.folder, given.name)
    tools = desk.wait(_tools_of, desk.folder, upstream)
    for name, seen in given.tools.items():
        if name not in tools:
            raise BadInput(f"The upstream {given.name} offers no tool {name[:128]}.")
        if fingerprint(upstream.endpoint, tools[name]) != seen:
            raise RuleRefused(
                f"{name} is not what you saw any more; see `bailiwick upstream diff {given.name}` again."
            )
    accepted = {name: tools[name] for name in given.tools}
    text = with_fingerprints(read_text_file(path), given.tools)
    said = {view.tool: view.fingerprint for view in parse_upstream(text, path=str(path)).views}
    for name, seen in given.tools.items():
        if said.get(name) != seen:
            raise BadInput(f"{path} does not name {name}; write an entry for it there, then accept it.")
    keep_definitions(desk.folder, given.name, accepted)
    write_private(path, text.encode())
    _note(desk, person, upstream, given.tools)
    return {"upstream": given.name, "accepted": list[JsonValue](sorted(given.tools)), "served": desk.served}


def _part(folder: DataFolder) -> Part:
    return tools_of(load_catalogue(folder.catalogue_dir))


async def _tools_of(folder: DataFolder, upstream: CatalogueUpstream) -> dict[str, UpstreamTool]:
    """Start the upstream, see its tools, and end it. Raises `UpstreamUnavailable` when it does not start."""
    # Only here: it brings the MCP SDK, which would make every other command wait for its import.
    from tool_scopes.upstream.fleet import running_upstreams
    from tool_scopes.upstream.limits import DEFAULT

    surroundings = Surroundings(places=folder.places(), secrets=read_secrets(folder.secrets_file))
    alone = Catalogue({upstream.name: upstream}, {}, "")
    patient = replace(DEFAULT, start_s=FIRST_START_S)
    async with running_upstreams(alone, surroundings, logs=folder.logs_dir, limits=patient) as fleet:
        live = fleet[upstream.name]
        if live.failure is not None:
            told = "" if isinstance(upstream.server, HttpServer) else _ADVICE
            raise UpstreamUnavailable(f"{live.failure}{told}")
        return dict(sorted(live.tools.items()))


def _catalogue(desk: OperationDesk) -> Catalogue:
    if desk.open_house is not None:
        return desk.open_house.catalogue
    return load_catalogue(desk.folder.catalogue_dir)


def _filed(folder: DataFolder, name: str) -> tuple[Path, CatalogueUpstream, tuple[View, ...]]:
    """An upstream as its file says it now."""
    path = folder.catalogue_dir / f"{name}.yaml"
    if name != path.stem or not path.is_file():
        raise BadInput(f"There is no upstream {name}; `bailiwick upstream list` shows those that there are.")
    part = parse_upstream(read_text_file(path), path=str(path))
    return path, part.upstream, part.views


def _failure(upstream: object) -> str | None:
    if upstream is None:
        return "it came into the catalogue after the server started; restart the server"
    return cast("str | None", getattr(upstream, "failure", None))


def _note(
    desk: OperationDesk, person: Person, upstream: CatalogueUpstream, accepted: Mapping[str, str]
) -> None:
    body: JsonObject = {"upstream": upstream.name, "endpoint": upstream.endpoint, "tools": dict(accepted)}
    desk.ledger.append_now(Entry("upstream.accepted", person.tenant, body, principal=person.id))


def _arguments(schema: JsonObject) -> list[JsonValue]:
    """The names of a tool's arguments; a question mark stands behind those that it does not require."""
    properties, required = schema.get("properties"), schema.get("required")
    must = required if isinstance(required, list) else []
    names = properties if isinstance(properties, dict) else {}
    return [name if name in must else f"{name}?" for name in names]


def _tool(tool: UpstreamTool) -> JsonObject:
    return {
        "tool": tool.name,
        "description": tool.description,
        "arguments": _arguments(tool.input_schema),
        "hints": dict(tool.hints),
        "effect": "write",
        "hidden": True,
    }


def _view(view: View, held_back: str | None) -> JsonObject:
    return {
        "view": view.name,
        "tool": view.tool,
        "effect": view.effect,
        "hidden": view.hidden,
        "held_back": held_back,
        "target": view.target,
    }


OPERATIONS = (
    Operation("upstream.add", AddUpstream, "admin", _add),
    Operation("upstream.list", NoArguments, "person", _list, logged=False),
    Operation("upstream.diff", OneUpstream, "admin", _diff),
    Operation("upstream.accept", AcceptUpstream, "admin", _accept),
    *agreeing("upstream", _part),
)
