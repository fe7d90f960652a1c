"""`bailiwick serve` and `bailiwick stdio`."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from server.cli.options import Data, opened
from server.cli.printing import tell

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def add_to(app: typer.Typer) -> None:
    """Put these commands among the commands."""
    app.command("serve")(serve)
    app.command("stdio")(stdio)


def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on (or BAILIWICK_HOST).")] = None,
    port: Annotated[
        int | None, typer.Option(help="Its port; 0 takes a free one (or BAILIWICK_PORT).")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    data: Data = None,
) -> None:
    """Serve MCP over HTTP, and own the data folder, until Ctrl-C or SIGTERM."""
    from server.serving import serve as serve_until_stopped

    folder, settings = opened(data, serves=True, host=host, port=port, log_level=log_level)

    def told(url: str) -> None:
        print(url, flush=True)
        tell(f"Bailiwick serves {folder.root} there; Ctrl-C ends it.")

    _run(serve_until_stopped, folder, settings, told)
    tell("Bailiwick has stopped.")


def stdio(
    agent_key_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A file with the agent's key (or BAILIWICK_AGENT_KEY)."),
    ] = None,
    data: Data = None,
) -> None:
    """Serve MCP on standard input and output, as one agent; joins the server that owns the data folder, if
    any.
    """
    from server.stdio import serve_stdio

    folder, settings = opened(data, serves=True, agent_key_file=agent_key_file)
    _run(serve_stdio, folder, settings)


def _run(work: Callable[..., Awaitable[None]], *arguments: Any) -> None:
    import anyio

    _keep_descriptors()
    anyio.run(work, *arguments, backend_options={"use_uvloop": _has_uvloop()})


def _keep_descriptors() -> None:
    """Whatever this process was started with beside its standard streams is not handed on to upstreams.

    uvloop starts a process without closing what it inherits.
    """
    for name in os.listdir("/dev/fd"):
        with suppress(OSError):  # the one that read the listing is closed by now
            if int(name) > 2:
                os.set_inheritable(int(name), False)


def _has_uvloop() -> bool:
    from importlib.util import find_spec

    return find_spec("uvloop") is not None
