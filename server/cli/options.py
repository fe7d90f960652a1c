"""Options that many commands share, and the desk that they ask through."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from server.data_folder import DataFolder
    from server.settings import Settings

Data = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="The data folder (or BAILIWICK_DATA).")
]
Key = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="Your personal key file (or BAILIWICK_KEY).")
]
As = Annotated[
    str | None,
    typer.Option("--as", metavar="PERSON", help="Whose key, when you hold several (or BAILIWICK_PERSON)."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

Printed = dict[str, Any]
"""The result of an operation, as it is about to be printed."""


class Proposed(Exception):
    """What was asked lowers the gate, so it waits for a second admin; nothing is done yet."""

    def __init__(self, act: Printed) -> None:
        super().__init__(
            f"Nothing is done yet: {'; '.join(act['lowers'])}, which takes two admins. Another one signs it "
            f"before {act['expires']} with `bailiwick act sign {act['act']}`."
        )
        self.act = str(act["act"])


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a command asks: one data folder, as one person.

    `given` are the options that said so, as a command that is printed for pasting needs them again.
    """

    folder: DataFolder
    settings: Settings
    given: str = ""

    def ask(self, name: str, /, **args: Any) -> Printed:
        """Have an operation performed, signed with the person's key; its result."""
        from server.acting import ask
        from server.personal_keys import personal_key

        result = ask(self.folder, self.settings, personal_key(self.folder, self.settings), name, args)
        if "proposed" in result and isinstance(result["proposed"], dict):
            raise Proposed(result["proposed"])
        return result

    @contextmanager
    def asking(self) -> Generator[Callable[[str, Printed], Printed]]:
        """`ask` for many operations on the library in one go."""
        from server.acting import asking
        from server.personal_keys import personal_key

        with asking(self.folder, self.settings, personal_key(self.folder, self.settings)) as ask:
            yield ask


def desk(data: Path | None, key: Path | None, person: str | None, **flags: Any) -> Desk:
    """The desk for the options of a command."""
    folder, settings = opened(data, key=key, person=person, **flags)
    return Desk(folder, settings, given(data, key, person))


def given(data: Path | None, key: Path | None = None, person: str | None = None) -> str:
    """The options that said where and as whom, with a blank before each, as a shell takes them."""
    import shlex

    options = (("--data", data), ("--key", key), ("--as", person))
    return "".join(f" {name} {shlex.quote(str(value))}" for name, value in options if value is not None)


def opened(data: Path | None, *, serves: bool = False, **flags: Any) -> tuple[DataFolder, Settings]:
    """The data folder that the options name, and the settings that hold for it. What `serves` also logs what
    is merely of interest; another command says its own sentence, and logs what is wrong.
    """
    from server.data_folder import open_folder
    from server.settings import load_settings

    folder = open_folder(data_path(data))
    settings = load_settings(folder, data=folder.root, **flags)
    level = settings.log_level
    log_to_stderr(level if serves or level != "info" else "warning", settings.log_format)
    return folder, settings


def data_path(data: Path | None) -> Path:
    """The place of the data folder: the option, else BAILIWICK_DATA, else `bailiwick` among this person's
    data.
    """
    import os

    from server.settings import load_settings

    named = data or load_settings().data
    if named is not None:
        return named.expanduser()
    base = os.environ.get("XDG_DATA_HOME")
    home = Path(base) if base and Path(base).is_absolute() else Path.home() / ".local" / "share"
    return home / "bailiwick"


def log_to_stderr(level: str, style: str = "text") -> None:
    """Write what is logged to stderr, from this level on, as lines of text or of JSON."""
    import logging

    from server.log_lines import JsonLines, TextLines

    written = logging.StreamHandler()
    written.setFormatter(JsonLines() if style == "json" else TextLines())
    logging.basicConfig(level=level.upper(), handlers=[written], force=True)
    for chatty in ("httpx2", "httpcore2", "mcp", "asyncio", "uvicorn", "sentence_transformers"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLogger().level))


def pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """`NAME=value` options as a mapping."""
    from server.errors import BadInput

    found: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise BadInput(f"{option} is written NAME=value, not {text!r}.")
        found[name] = value
    return found
