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
    """`bailiwick …` in this process. `typed` keeps the arguments of each, for those who want to repeat
    them.
    """

    typed: list[tuple[str, ...]] = field(default_factory=list[tuple[str, ...]])

    def run(self, *arguments: str) -> str:
        """What the command prints on stdout. Raises `CommandFailed` unless it succeeds."""
        from server.cli import execute

        self.typed.append(arguments)
        said, complained = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
            code = execute(arguments)
        if code != 0:
            words = " ".join(arguments[:2])
            raise CommandFailed(f"`bailiwick {words}` ended with {code}: {complained.getvalue().strip()}")
        return said.getvalue().strip()
