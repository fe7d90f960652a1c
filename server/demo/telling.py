"""What a person sees of the demo. With a quiet console the same walk is made and nothing is printed."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from server.demo.agent import Said


class Teller:
    """Tells a person at a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def opened(self, run: str, key: str, request: str) -> None:
        """The run, and that the second opening was the same one."""
        self._say(f"[bold]{run}[/]  opened twice with the key {key}: one run")
        self._say(f"the customer wrote: [italic]{escape(request)}[/]")

    def step(self, step: dict[str, Any], own: list[str], beside: list[str]) -> None:
        """The step's heading, purpose and tools."""
        self.chapter(str(step.get("step")))
        self._say(escape(str(step.get("purpose", ""))))
        self._say(
            f"tools: [bold green]{', '.join(own) or 'none of its own'}[/]  [dim]and {', '.join(beside)}[/]"
        )

    def bundle(self, bundle: dict[str, Any]) -> None:
        """The quotes with their ids, and the tokens."""
        budget = bundle.get("budget", {})
        head = f"bundle {bundle.get('bundle')}: {bundle.get('sufficiency')}, "
        self._say(
            f"{head}{budget.get('used')} of {budget.get('tokens')} tokens, release {bundle.get('release')}"
        )
        for item in bundle.get("items", []):
            self._quote(item["id"], item["quote"])

    def observed(self, tool: str, source: str, text: str) -> None:
        """The observation, word for word."""
        self._say(f"{tool} answered; kept as an observation:")
        self._quote(source, text)

    def envelope(self, envelope: dict[str, Any], said: Said) -> None:
        """What the step concluded, and whether the envelope was accepted."""
        accepted = said.code == "done"
        outcome = "[green]accepted[/]" if accepted else f"[bold red]{said.code or said.error}[/]"
        head = f"envelope: {envelope['status']}, confidence {envelope['confidence']}"
        self._say(f"{head}, {outcome}: {escape(envelope['reason'])}")
        for quote in envelope["evidence"]:
            self._quote(quote["source"], quote["quote"])
        if envelope["proposed_action"] is not None:
            action = envelope["proposed_action"]
            self._say(f"proposes [bold]{action['type']}[/] on {action['target_id']}: {action['arguments']}")

    def answer(self, what: str, code: str, *, expected: bool) -> None:
        """The code, green where it is the promised one."""
        self._say(f"{escape(what)}: [bold {'green' if expected else 'red'}]{escape(code)}[/]")

    def approved(self, person: str, request: str, shown: dict[str, Any]) -> None:
        """Who signed what."""
        call = shown.get("call", {})
        self._say(f"[bold]{person}[/] looks at {request} and signs with a personal key:")
        self._quote(f"{call.get('tool')} on {call.get('target')}", str(call.get("arguments")))

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

    def verbatim(self, text: str) -> None:
        """What another command printed, as it printed it."""
        self._console.print(Padding(Text(text), (0, 0, 0, 2)))

    def _say(self, markup: str) -> None:
        self._console.print(Padding(markup, (0, 0, 0, 2)), highlight=False)

    def _quote(self, source: str, quote: str) -> None:
        self._console.print(Padding(Text(source, style="cyan"), (0, 0, 0, 4)))
        self._console.print(Padding(Text(quote, style="dim"), (0, 0, 0, 6)))
