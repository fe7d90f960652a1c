"""The catalogue: which upstreams there are, and as what each of their tools may be used.

An upstream says what its tools are called; the admin says what they are. A **view** is the admin's word on
one tool: its name, its effect, which arguments are fixed or bound to the run. What has no view, or a view
that says nothing of the effect, is a hidden write: nobody can call it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from ledger.canonical import JsonObject, JsonValue, digest, text_digest
from tool_scopes.upstream.servers import Server, StdioServer

Effect = Literal["read", "lookup", "simulate", "write"]

RESERVED_NAMES: Final = frozenset(
    {
        "open_run",
        "current_step",
        "read_context",
        "cite",
        "verify_quotes",
        "use_tool",
        "see_approval",
        "submit_step",
        "propose_source",
    }
)
"""Tools of the desk. No upstream tool and no view may take these names."""

APPROVAL_ARGUMENT: Final = "approval_token"
"""The argument in which an agent brings an approval; every write's schema shows it."""

RESERVED_ARGUMENTS: Final = frozenset({APPROVAL_ARGUMENT, "run_id"})
"""Arguments that the front desk takes out of a call before the tool's own arguments are looked at."""

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_ERROR_PREFIX = 4_096  # how much of an error's text is compared with the catalogue's expressions


@dataclass(frozen=True, slots=True)
class FactSource:
    """How a fact about a write's target is read: one call of a view of the same upstream."""

    view: str
    """A view that reads, looks up or simulates; it may be hidden."""
    pointer: str
    """Where the fact stands in the view's structured answer (JSON Pointer, RFC 6901)."""
    arguments: Mapping[str, str]
    """The view's argument → the write's argument that gives its value."""

    def as_json(self) -> JsonObject:
        """For digests and listings."""
        return {"view": self.view, "pointer": self.pointer, "arguments": dict(self.arguments)}


@dataclass(frozen=True, slots=True)
class Signatures:
    """How many people must approve a call of a view, and a role that each of them must hold."""

    needed: int = 1
    role: str = "reviewer"
    four_eyes: bool = True
    """Whether the agent's owner is kept from being one of them."""

    def as_json(self) -> JsonObject:
        """For digests and listings."""
        return {"needed": self.needed, "role": self.role, "four_eyes": self.four_eyes}


@dataclass(frozen=True, slots=True)
class View:
    """One upstream tool as the admin offers it."""

    name: str
    upstream: str
    tool: str
    """The upstream's own name of the tool."""
    effect: Effect = "write"
    hidden: bool = True
    fixed: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    """Arguments that the admin has set."""
    bound: Mapping[str, str] = field(default_factory=dict[str, str])
    """Argument → the key of the run's state that gives its value."""
    target: str | None = None
    """What a write acts on, with `{argument}` placeholders, such as `order:{order_id}`."""
    sensitive: bool = False
    approval: Signatures = Signatures()
    """Who must approve a call; a sensitive view needs two at least."""
    precondition: FactSource | None = None
    """How the version of a write's target is read; None: it is not looked at."""
    affects: FactSource | None = None
    """How it is counted what a write would touch, before it is asked for and again before it is made."""
    secrets: frozenset[str] = frozenset()
    """Arguments whose values are sealed and never logged."""
    no_effect_errors: tuple[str, ...] = ()
    """Regular expressions: an error whose text matches one of them means that nothing happened."""
    fingerprint: str | None = None
    """Of the tool as the admin accepted it; None: not accepted yet."""
    description: str | None = None
    """What agents read instead of the upstream's own description."""
    per_second: float | None = None
    """How many calls a second are let through; None: as many as come. It is no part of what is approved, nor
    of the digest: it can be changed without any approval becoming void.
    """
    at_once: int | None = None
    """How many calls may be under way at once; the same holds."""

    @property
    def is_write(self) -> bool:
        """Whether a call needs an approval."""
        return self.effect == "write"

    @property
    def facts(self) -> Mapping[str, FactSource]:
        """What is read about the target before a call is asked for and before it is made, by name."""
        named = {"rows": self.affects, "version": self.precondition}
        return {name: source for name, source in named.items() if source is not None}

    @property
    def target_arguments(self) -> tuple[str, ...]:
        """The arguments that the target is made of."""
        return tuple(_PLACEHOLDER.findall(self.target or ""))

    def means_no_effect(self, error_text: str) -> bool:
        """Whether the admin says of this error that nothing happened."""
        return any(re.search(pattern, error_text[:_ERROR_PREFIX]) for pattern in self.no_effect_errors)

    def as_json(self) -> JsonObject:
        """Everything that this view says, for digests and listings."""
        return {
            "name": self.name,
            "upstream": self.upstream,
            "tool": self.tool,
            "effect": self.effect,
            "hidden": self.hidden,
            "fixed": dict(self.fixed),
            "bound": dict(self.bound),
            "target": self.target,
            "sensitive": self.sensitive,
            "approval": self.approval.as_json(),
            "facts": {name: source.as_json() for name, source in self.facts.items()},
            "secrets": list[JsonValue](sorted(self.secrets)),
            "no_effect_errors": list[JsonValue](self.no_effect_errors),
            "fingerprint": self.fingerprint,
            "description": self.description,
        }


@dataclass(frozen=True, slots=True)
class CatalogueUpstream:
    """One upstream as the catalogue names it. `timeout_s` is for one call."""

    name: str
    server: Server
    timeout_s: float = 30.0

    @property
    def endpoint(self) -> str:
        """The upstream's identity in fingerprints and canonical calls."""
        return self.server.endpoint

    def as_json(self) -> JsonObject:
        """Everything that decides where a call goes, for digests and listings."""
        server = self.server
        told: JsonObject
        if isinstance(server, StdioServer):
            told = {"command": list[JsonValue](server.command), "env": dict(server.env), "cwd": server.cwd}
        else:
            told = {"url": server.url, "headers": dict(server.headers)}
        return {"name": self.name, "timeout_s": self.timeout_s, **told}


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All upstreams and all views by name.

    `digest` changes with every meaning and with no comment or layout.
    """

    upstreams: Mapping[str, CatalogueUpstream]
    views: Mapping[str, View]
    digest: str

    def offered_effects(self) -> Mapping[str, Effect]:
        """The effect of every view that is not hidden: what a workflow may name."""
        return {name: view.effect for name, view in self.views.items() if not view.hidden}

    def bound_keys(self) -> Mapping[str, frozenset[str]]:
        """The keys of a run's state that the arguments of each offered view are taken from."""
        return {name: frozenset(view.bound.values()) for name, view in self.views.items() if not view.hidden}

    def views_of(self, upstream: str) -> tuple[View, ...]:
        """The views of one upstream's tools, in the order of their names."""
        return tuple(view for _, view in sorted(self.views.items()) if view.upstream == upstream)


def catalogue_digest(upstreams: Mapping[str, CatalogueUpstream], views: Mapping[str, View]) -> str:
    """The digest of a catalogue, over its parts' digests: as one canonical value it could be too large."""
    lines = [
        f"upstream {name} {digest('bailiwick-upstream-v1', u.as_json())}" for name, u in upstreams.items()
    ]
    lines += [f"view {name} {digest('bailiwick-view-v1', view.as_json())}" for name, view in views.items()]
    return text_digest("bailiwick-catalogue-v1\n" + "\n".join(sorted(lines)))
