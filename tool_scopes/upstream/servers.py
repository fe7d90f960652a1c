"""Where an upstream is and how to reach it: a command to start, or a URL.

Words such as `${DESK_TOKEN}` stand for values that are filled in when the upstream is started, from the
data folder's secrets file and never from this process's own environment. Identity is over the words as
written, so a secret or the place of the data folder is no part of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from ledger.canonical import digest
from tool_scopes.upstream.tools import UpstreamUnavailable

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class StdioServer:
    """An upstream that is started as a child process and spoken to over its standard input and output."""

    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    cwd: str | None = None

    @property
    def endpoint(self) -> str:
        """Its identity: the command, the folder and the names of its variables, as written."""
        written = digest("bailiwick-endpoint-v1", [[*self.command], self.cwd, [*sorted(self.env)]])
        return f"stdio:{written}"

    def filled(self, surroundings: Surroundings) -> StdioServer:
        """With every `${NAME}` filled in. Raises UpstreamUnavailable for a name that stands for nothing."""
        place, value = surroundings.place, surroundings.value
        env = {name: value(text) for name, text in self.env.items()}
        return StdioServer(
            tuple(map(place, self.command)), env, None if self.cwd is None else place(self.cwd)
        )


@dataclass(frozen=True, slots=True)
class HttpServer:
    """An upstream that is reached by streamable HTTP. Credentials stand in `headers`, never in `url`."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def endpoint(self) -> str:
        """The URL without anything that could be a credential."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))

    def filled(self, surroundings: Surroundings) -> HttpServer:
        """With every `${NAME}` filled in. Raises UpstreamUnavailable for a name that stands for nothing."""
        return HttpServer(self.url, {name: surroundings.value(text) for name, text in self.headers.items()})


Server = StdioServer | HttpServer


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What `${NAME}` stands for.

    `places` (such as PYTHON and DATA) may be used anywhere, `secrets` not in a command.
    """

    places: Mapping[str, str] = field(default_factory=dict[str, str])
    secrets: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    def place(self, text: str) -> str:
        """`text` with places filled in.

        A command line can be read by every process, so no secret goes there.
        """
        return _filled(text, self.places, "a place (PYTHON or DATA)")

    def value(self, text: str) -> str:
        """`text` with places and secrets filled in."""
        return _filled(text, {**self.places, **self.secrets}, "in the secrets file")


def _filled(text: str, known: Mapping[str, str], where: str) -> str:
    def one(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in known:
            raise UpstreamUnavailable(f"${{{name}}} is not {where}; add it there or mend the catalogue")
        return known[name]

    return _REFERENCE.sub(one, text)
