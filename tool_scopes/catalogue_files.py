"""Reading the catalogue: one YAML file for each upstream, checked as a whole before any of it is used."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ledger.canonical import CanonicalError, check_value
from tool_scopes.catalogue import (
    RESERVED_ARGUMENTS,
    RESERVED_NAMES,
    Catalogue,
    CatalogueUpstream,
    Effect,
    FactSource,
    Signatures,
    View,
    catalogue_digest,
)
from tool_scopes.catalogue_gate import Refuse, check_fact_views, check_gate_of
from tool_scopes.upstream.servers import HttpServer, Server, StdioServer
from tool_scopes.yaml_files import FileRefused, Location, line_in, parse_yaml, read_text_file

VIEW_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What every client accepts as a tool's name."""

_ARGUMENT = r"^[^\s{}]{1,128}$"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FactFile(_Strict):
    """How a fact about a write's target is read (`tool_scopes.catalogue.FactSource`)."""

    view: str = Field(min_length=1, max_length=64)
    pointer: str = Field(pattern=r"^(/([^~/]|~[01])*)+$", max_length=256)
    arguments: dict[Annotated[str, Field(pattern=_ARGUMENT)], Annotated[str, Field(pattern=_ARGUMENT)]] = (
        Field(default_factory=dict[str, str])
    )


class ApprovalFile(_Strict):
    """Who must approve a call (`tool_scopes.catalogue.Signatures`)."""

    needed: int | None = Field(default=None, ge=1, le=9)
    role: Literal["reviewer", "curator", "admin"] = "reviewer"
    four_eyes: bool = True


class ViewFile(_Strict):
    """One view as the file says it. The view's meaning is explained at `tool_scopes.catalogue.View`."""

    name: str | None = None
    effect: Effect | None = None
    hidden: bool | None = None
    fixed: dict[str, Any] = Field(default_factory=dict[str, Any])
    bound: dict[Annotated[str, Field(pattern=_ARGUMENT)], Annotated[str, Field(pattern=_ARGUMENT)]] = Field(
        default_factory=dict[str, str]
    )
    target: str | None = Field(default=None, min_length=1, max_length=256)
    sensitive: bool = False
    approval: ApprovalFile = ApprovalFile()
    precondition: FactFile | None = None
    affects: FactFile | None = None
    secrets: list[str] = Field(default_factory=list[str])
    no_effect_errors: list[str] = Field(default_factory=list[str])
    fingerprint: str | None = Field(default=None, pattern=r"^sha256:[0-9a-f]{64}$")
    description: str | None = Field(default=None, min_length=1, max_length=8_000)
    per_second: float | None = Field(default=None, gt=0, le=100_000)
    at_once: int | None = Field(default=None, ge=1, le=100_000)


class UpstreamFile(_Strict):
    """One file of the catalogue."""

    upstream: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")
    transport: Literal["stdio", "http"]
    command: list[str] | None = Field(default=None, min_length=1)
    env: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], str] = Field(
        default_factory=dict[str, str]
    )
    cwd: str | None = Field(default=None, min_length=1)
    url: str | None = Field(default=None, min_length=1)
    headers: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")], str] = Field(
        default_factory=dict[str, str]
    )
    timeout: float = Field(default=30.0, gt=0, le=600)
    tools: dict[str, list[ViewFile]] = Field(default_factory=dict[str, list[ViewFile]])

    @field_validator("tools", mode="before")
    @classmethod
    def _one_view_needs_no_list(cls, tools: object) -> object:
        if not isinstance(tools, dict):
            return tools
        given = cast("dict[object, object]", tools)
        return {
            tool: cast("object", views if isinstance(views, list) else [views or {}])
            for tool, views in given.items()
        }


class UpstreamPart(NamedTuple):
    """What one file adds to the catalogue."""

    upstream: CatalogueUpstream
    views: tuple[View, ...]


def load_catalogue(folder: Path) -> Catalogue:
    """The catalogue of a folder's `*.yaml` files.

    Raises FileRefused naming file and line; then nothing is loaded.
    """
    if not folder.is_dir():
        raise FileRefused(f"{folder}: is no folder; make it, or run `bailiwick init` for a new data folder")
    upstreams: dict[str, CatalogueUpstream] = {}
    views: dict[str, View] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.is_dir():
            continue
        if path.suffix != ".yaml":
            raise FileRefused(
                f"{path}: only files named UPSTREAM.yaml belong into the catalogue; rename or move it"
            )
        source = read_text_file(path)
        part = parse_upstream(source, path=str(path))
        if part.upstream.name != path.stem:
            line = line_in(source, ("upstream",))
            raise FileRefused(
                f"{path}:{line}: upstream: the file of {part.upstream.name} is {part.upstream.name}.yaml"
            )
        upstreams[part.upstream.name] = part.upstream
        for view in part.views:
            if view.name in views:
                line, other = line_in(source, ("tools", view.tool)), views[view.name]
                raise FileRefused(
                    f"{path}:{line}: the view {view.name} stands in {other.upstream}.yaml too; rename one"
                )
            views[view.name] = view
    return Catalogue(upstreams, views, catalogue_digest(upstreams, views))


def parse_upstream(source: str, *, path: str) -> UpstreamPart:
    """The upstream and the views of one file's text. Raises FileRefused naming `path` and the line."""
    file = parse_yaml(source, UpstreamFile, path=path)

    def refuse(sentence: str, *location: str | int) -> FileRefused:
        where = ".".join(str(part) for part in location)
        return FileRefused(f"{path}:{line_in(source, location)}: {where}: {sentence}")

    upstream = CatalogueUpstream(file.upstream, _server(file, refuse), file.timeout)
    views: dict[str, View] = {}
    places: dict[str, Location] = {}
    for tool, entries in file.tools.items():
        if tool in RESERVED_NAMES:
            raise refuse("this name belongs to the desk; an upstream that uses it is refused", "tools", tool)
        for index, entry in enumerate(entries):
            at: Location = ("tools", tool, index) if len(entries) > 1 else ("tools", tool)
            view = _view(file.upstream, tool, entry, _below(refuse, at))
            if view.name in views:
                raise refuse(f"there are two views named {view.name}; give one of them another `name`", *at)
            views[view.name] = view
            places[view.name] = at
    for view in views.values():
        check_fact_views(view, views, _below(refuse, places[view.name]))
    return UpstreamPart(upstream, tuple(views.values()))


def _below(refuse: Refuse, at: Location) -> Refuse:
    return lambda sentence, *key: refuse(sentence, *at, *key)


def _server(file: UpstreamFile, refuse: Refuse) -> Server:
    if file.transport == "stdio":
        foreign = "url" if file.url is not None else "headers" if file.headers else None
        if foreign:
            raise refuse("belongs to an upstream with `transport: http`; remove it", foreign)
        if file.command is None:
            raise refuse("an upstream on stdio needs its `command`, as a list of words", "transport")
        ours = next((name for name in file.env if name.upper().startswith("BAILIWICK")), None)
        if ours:
            raise refuse(
                "an upstream never gets one of Bailiwick's own variables; use another name", "env", ours
            )
        return StdioServer(tuple(file.command), file.env, file.cwd)
    foreign = "command" if file.command else "env" if file.env else "cwd" if file.cwd else None
    if foreign:
        raise refuse("belongs to an upstream with `transport: stdio`; remove it", foreign)
    if file.url is None:
        raise refuse("an upstream on http needs its `url`", "transport")
    try:
        parts = urlsplit(file.url)
    except ValueError as error:
        raise refuse(
            f"this is no address ({error}); write it whole, as https://tools.example.com/mcp", "url"
        ) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise refuse("write the whole address, such as https://tools.example.com/mcp", "url")
    if "@" in parts.netloc or "${" in file.url:
        raise refuse("credentials do not belong here; write them under `headers` as ${NAME}", "url")
    return HttpServer(file.url, file.headers)


def _view(upstream: str, tool: str, entry: ViewFile, refuse: Refuse) -> View:
    effect: Effect = entry.effect or "write"
    view = View(
        name=entry.name or f"{upstream}__{tool}",
        upstream=upstream,
        tool=tool,
        effect=effect,
        # What is not classified is hidden; classifying a tool is what shows it.
        hidden=entry.effect is None if entry.hidden is None else entry.hidden,
        fixed=entry.fixed,
        bound=entry.bound,
        target=entry.target,
        sensitive=entry.sensitive,
        approval=_signatures(entry),
        precondition=_fact(entry.precondition),
        affects=_fact(entry.affects),
        secrets=frozenset(entry.secrets),
        no_effect_errors=tuple(entry.no_effect_errors),
        fingerprint=entry.fingerprint,
        description=entry.description,
        per_second=entry.per_second,
        at_once=entry.at_once,
    )
    _check_name(view, refuse)
    _check_arguments(view, refuse)
    _check_write(view, refuse)
    check_gate_of(view, refuse)
    return view


def _signatures(entry: ViewFile) -> Signatures:
    asked = entry.approval
    return Signatures(asked.needed or (2 if entry.sensitive else 1), asked.role, asked.four_eyes)


def _fact(entry: FactFile | None) -> FactSource | None:
    return None if entry is None else FactSource(entry.view, entry.pointer, entry.arguments)


def _check_name(view: View, refuse: Refuse) -> None:
    if view.name in RESERVED_NAMES:
        raise refuse(f"the name {view.name} belongs to the desk; choose another", "name")
    if not VIEW_NAME.fullmatch(view.name):
        raise refuse(
            f"{view.name!r} is no name that clients accept; give a `name` of 1 to 64 of A-Z a-z 0-9 _ -",
            "name",
        )


def _check_arguments(view: View, refuse: Refuse) -> None:
    for key, names in (("fixed", view.fixed), ("bound", view.bound)):
        reserved = next((name for name in names if name in RESERVED_ARGUMENTS), None)
        if reserved:
            raise refuse(
                f"{reserved} is an argument of the desk; an upstream that uses it is refused", key, reserved
            )
    twice = next((name for name in view.bound if name in view.fixed), None)
    if twice:
        raise refuse(f"{twice} is fixed and bound at once; keep one of the two", "bound", twice)
    try:
        check_value(dict(view.fixed))
    except CanonicalError as error:
        raise refuse(str(error), "fixed") from None


def _check_write(view: View, refuse: Refuse) -> None:
    if not view.is_write:
        if view.target is not None:
            raise refuse("only a write has a target; remove it, or say `effect: write`", "target")
        return
    if view.target is None:
        if not view.hidden:
            raise refuse('says nothing of what this write acts on; add a `target` such as "order:{order_id}"')
        return
    leftover = re.sub(r"\{[^{}]+\}", "", view.target)
    if "{" in leftover or "}" in leftover:
        raise refuse("has a brace that stands alone; a placeholder is written {argument}", "target")
    for pattern in view.no_effect_errors:
        try:
            re.compile(pattern)
        except re.error as error:
            raise refuse(f"{pattern!r} is no regular expression ({error})", "no_effect_errors") from None
