"""Serves the desk on standard input and output: `python -m examples.refund_desk --db FILE`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import anyio
from mcp.server.stdio import stdio_server

from examples.refund_desk.orders import OrderDesk
from examples.refund_desk.server import serve


async def _run(desk: OrderDesk) -> None:
    server = serve(desk)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


def main() -> None:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser(
        prog="refund_desk", description="An order desk as an MCP server on stdio."
    )
    parser.add_argument(
        "--db", type=Path, default=os.environ.get("REFUND_DESK_DB"), help="the order database"
    )
    options = parser.parse_args()
    if options.db is None:
        parser.error("name the order database with --db FILE or REFUND_DESK_DB")
    try:
        desk = OrderDesk(options.db)
    except FileNotFoundError as error:
        sys.exit(f"refund_desk: {error}")
    anyio.run(_run, desk)


if __name__ == "__main__":
    main()
