"""What a person sees of the demo. With a quiet console the same walk is made and nothing is printed."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from server.demo.agent import Said

_SHORT_KEY = 10


class Teller:
    """Tells a person at a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def typed(self, commands: Iterable[Sequence[str]]) -> None:
        """The commands that were run, and as whom."""
        for arguments in commands:
            person, words = command_in_short(arguments)
            self.verbatim(f"{person:<6} bailiwick {words}", hanging=17)

    def opened(self, run: str, key: str, request: str) -> None:
        """The run, and that the second opening was the same one."""
        self._say(f"[bold]{run}[/]  opened twice with the key {key}: one run")
        self._say(f"the customer wrote: [italic]{escape(request)}[/]")

    def step(self, step: dict[str, Any], own: list[str], beside: list[str]) -> None:
        """The step's heading, purpose and tools."""
        self.chapter(str(step.get("step")))
        self._say(escape(str(step.get("purpose", ""))))
        tools = f"[bold green]{', '.join(own)}[/]" if own else "[bold]none of its own[/]"
        self._say(f"tools: {tools}  [dim]and {', '.join(beside)}[/]")

    def bundle(self, bundle: dict[str, Any]) -> None:
        """The quotes with their ids, and the tokens."""
        budget = bundle.get("budget", {})
        spent = f"[bold]{budget.get('used')} of {budget.get('tokens')} tokens[/]"
        self._say(
            f"evidence: {bundle.get('sufficiency')}, {spent}, release {bundle.get('release')}  "
            f"[dim]{bundle.get('bundle')}[/]"
        )
        for item in bundle.get("items", []):
            self._quote(item["id"], item["quote"])

    def observed(self, tool: str, source: str, text: str) -> None:
        """The observation, word for word."""
        self._say(f"[bold green]{tool}[/] answered; kept as an observation:")
        self._quote(source, text)

    def envelope(self, envelope: dict[str, Any], said: Said) -> None:
        """What the step concluded, and whether the envelope was accepted."""
        accepted = said.code == "done"
        outcome = "[bold green]accepted[/]" if accepted else f"[bold red]{said.code or said.error}[/]"
        head = f"envelope: {envelope['status']}, confidence {envelope['confidence']}"
        self._say(f"{head}, {outcome}: {escape(envelope['reason'])}")
        for quote in envelope["evidence"]:
            self._quote(quote["source"], f"“{quote['quote']}”")
        if envelope["proposed_action"] is not None:
            action = envelope["proposed_action"]
            self._say(f"proposes [bold]{action['type']}[/] on {action['target_id']}:")
            self._arguments(action["arguments"])

    def answer(self, what: str, code: str, *, expected: bool) -> None:
        """The code, green where it is the promised one."""
        self._say(f"{escape(what)}: [bold {'green' if expected else 'red'}]{escape(code)}[/]")

    def promise(self, promise: str, *, kept: bool) -> None:
        """One promise, and whether it was seen to hold."""
        self._say(
            f"[bold green]yes[/]  {escape(promise)}" if kept else f"[bold red]NO[/]   {escape(promise)}"
        )

    def approved(self, person: str, request: str, shown: dict[str, Any]) -> None:
        """Who signed what."""
        call = shown.get("call", {})
        self._say(f"[bold]{person}[/] looks at {request} and signs it with a personal key:")
        self._say(f"  [cyan]{escape(str(call.get('tool')))} on {escape(str(call.get('target')))}[/]")
        self._arguments(call.get("arguments", {}))

    def database(self, changed: dict[str, Any]) -> None:
        """The difference in the order database."""
        self._say("the order database, read by this demo itself, changed by exactly:")
        for table, rows in changed.items():
            for row in rows["new"]:
                self._quote(f"new in {table}", ", ".join(map(str, row)))
            for row in rows["gone"]:
                self._quote(f"gone from {table}", ", ".join(map(str, row)))

    def chapter(self, title: str) -> None:
        """What comes next is about something else."""
        self._console.print()
        self._console.print(Rule(f"[bold]{title}[/]", align="left", style="blue"))

    def say(self, text: str) -> None:
        """One plain sentence."""
        self._say(escape(text))

    def verbatim(self, text: str, *, hanging: int = 0) -> None:
        """What another command printed; lines that are too wide go on below, `hanging` columns in."""
        for line in text.split("\n"):
            wrapped = textwrap.wrap(
                line,
                max(self._console.width - 2, 40),
                subsequent_indent=" " * hanging,
                break_on_hyphens=False,
                replace_whitespace=False,
            )
            for part in wrapped or [""]:
                self._indented(Text(part), 2)

    def _arguments(self, arguments: Mapping[str, Any]) -> None:
        for name, value in arguments.items():
            self._indented(Text(f"{name}: {value}"), 6)

    def _say(self, markup: str) -> None:
        self._indented(Text.from_markup(markup), 2)

    def _quote(self, source: str, quote: str) -> None:
        self._indented(Text(source, style="cyan"), 4)
        self._indented(Text(quote), 6)

    def _indented(self, text: Text, columns: int) -> None:
        self._console.print(Padding(text, (0, 0, 0, columns), expand=False))


def command_in_short(arguments: Sequence[str]) -> tuple[str, str]:
    """Who gave a command, and the command without what is the same in all: the folder and the key files.

    Files of one folder are shown as that folder's, and a public key by its beginning.
    """
    person, words = "", list[str]()
    given: Iterator[str] = iter(arguments)
    for word in given:
        if word == "--data":
            next(given)
        elif word in ("--key", "--to"):
            person = PurePath(next(given)).stem
        elif word == "--public-key":
            words += [word, f"{next(given)[:_SHORT_KEY]}…"]
        elif word.endswith(".md"):
            words += [] if words[-1].endswith("*.md") else [f"…/{PurePath(word).parent.name}/*.md"]
        else:
            words.append(word)
    return person, " ".join(words)
