"""After the demo, a second run waits at `execute`: how a person can be its reviewer, and connect a client."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

from rich.console import Console

from server.demo.script import LATE
from server.demo.stage import Stage
from server.demo.telling import Teller

INSPECTOR = "@modelcontextprotocol/inspector@2.12.0"


def tell_how_to_connect(stage: Stage, url: str, run: str, console: Console) -> None:
    """Print how a person can be the reviewer of the run that waits, and connect clients of their own."""
    tell = Teller(console)
    tell.chapter("your turn")
    tell.say(f"{run} waits at execute for a refund of {LATE.amount_cents / 100:.2f} EUR.")
    tell.say(
        "Paste the first line into a second terminal and the next one into a third: the agent asks, and you "
        "are the reviewer. The other lines connect a client of yours; then tell it:"
    )
    tell.say(f"“Carry out the current step of {run}.”")
    for title, line in lines_to_paste(stage, url, run):
        console.print(f"\n[bold]{title}[/]", highlight=False)
        # As long as it is: these lines are for pasting, and a line break would break them.
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print("\nThe demo stays up; [bold]Ctrl-C[/] ends it and removes its files.", highlight=False)


def lines_to_paste(stage: Stage, url: str, run: str) -> list[tuple[str, str]]:
    """What to paste where, with live keys: for the reviewer, for a Python agent, and for clients."""
    bearer = f"Bearer {stage.agent_key}"
    header = shlex.quote(f"Authorization: {bearer}")
    server = {"url": url, "headers": {"Authorization": bearer}}
    vs_code = json.dumps({"name": "bailiwick", "type": "http", **server})
    cursor = json.dumps({"mcpServers": {"bailiwick": server}})
    python = shlex.quote(sys.executable)
    bailiwick = shlex.quote(str(Path(sys.executable).with_name("bailiwick")))
    robin = shlex.join(stage.acting_as("robin"))
    return [
        ("You, the reviewer", f"{bailiwick} approval watch {robin}"),
        (
            "A Python agent, which asks for the refund and waits for you",
            f"BAILIWICK_AGENT_KEY={stage.agent_key} {python} -m examples.python_agent {url} {run}",
        ),
        ("Claude Code", f"claude mcp add --transport http bailiwick {url} --header {header}"),
        ("VS Code", f"code --add-mcp {shlex.quote(vs_code)}"),
        (
            "Cursor, in a project that has no .cursor/mcp.json yet",
            f"mkdir -p .cursor && (set -C; echo {shlex.quote(cursor)} > .cursor/mcp.json)",
        ),
        (
            "MCP Inspector (Node 22)",
            f"npx -y {INSPECTOR} --cli {url} --transport http --header {header} --method tools/list",
        ),
    ]
