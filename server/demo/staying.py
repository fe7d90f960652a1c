"""After the demo: a second run waits at `execute`, so that a person can connect a client and be the reviewer."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from pathlib import Path

import anyio
from rich.console import Console

from server.demo.stage import Stage
from server.demo.walk import Walk

INSPECTOR = "@modelcontextprotocol/inspector@2.12.0"


async def stay(walk: Walk, console: Console) -> None:
    """Walk a second run up to `execute`, print how to connect to it, and wait for Ctrl-C."""
    run = await walk.open("demo-2")
    await walk.up_to_execute()
    console.print()
    for title, line in lines_to_paste(walk.stage, walk.url, run):
        console.print(f"[bold]{title}[/]", highlight=False)
        # Not wrapped: these lines are for pasting.
        console.print(line, markup=False, highlight=False, soft_wrap=True)
        console.print()
    console.print(f"[bold]{run}[/] waits at execute. Ctrl-C ends the demo.", highlight=False)
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _signal in signals:
            break
    console.print("Stopped; the demo's files are gone." if not console.quiet else "")


def lines_to_paste(stage: Stage, url: str, run: str) -> list[tuple[str, str]]:
    """What to paste where, with live keys: for clients, for a Python agent, and for the reviewer's terminal."""
    bearer = f"Authorization: Bearer {stage.agent_key}"
    server = {"type": "http", "url": url, "headers": {"Authorization": f"Bearer {stage.agent_key}"}}
    cursor = json.dumps({"mcpServers": {"bailiwick": {"url": url, "headers": server["headers"]}}})
    python = shlex.quote(sys.executable)
    bailiwick = shlex.quote(str(Path(sys.executable).with_name("bailiwick")))
    robin = shlex.join(stage.acting_as("robin"))
    return [
        ("Claude Code", f"claude mcp add --transport http bailiwick {url} --header {shlex.quote(bearer)}"),
        ("VS Code", f"code --add-mcp {shlex.quote(json.dumps({'name': 'bailiwick', **server}))}"),
        ("Cursor (in a project)", f"mkdir -p .cursor && echo {shlex.quote(cursor)} > .cursor/mcp.json"),
        (
            "MCP Inspector (Node 22)",
            f"npx -y {INSPECTOR} --cli {url} --transport http --header {shlex.quote(bearer)} --method tools/list",
        ),
        (
            "A Python agent, which asks for the refund and waits for you",
            f"BAILIWICK_AGENT_KEY={stage.agent_key} {python} -m examples.python_agent {url} {run}",
        ),
        ("You, the reviewer, in a second terminal", f"{bailiwick} approval watch {robin}"),
    ]
