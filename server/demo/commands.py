"""Running the product's own commands for the demo: what it does here, a person can type."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass, field

from server.errors import Unavailable


class CommandFailed(Unavailable):
    """A command that the demo rests on has failed; the message is its own sentence."""


@dataclass(frozen=True, slots=True)
class Commands:
    """`bailiwick …` in this process. `typed` keeps the command lines, for those who want to repeat them."""

    typed: list[str] = field(default_factory=list[str])

    def run(self, *arguments: str) -> str:
        """What the command prints on stdout. Raises `CommandFailed` unless it succeeds."""
        from server.cli import execute

        self.typed.append("bailiwick " + " ".join(arguments))
        said, complained = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
            code = execute(arguments)
        if code != 0:
            raise CommandFailed(f"`{self.typed[-1]}` ended with {code}: {complained.getvalue().strip()}")
        return said.getvalue().strip()
