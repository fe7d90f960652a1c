"""A whole agent in a page: ask for the refund of a run that waits at `execute`, wait for the humans, and
carry it out.

    BAILIWICK_AGENT_KEY=bwk_… python -m examples.python_agent http://127.0.0.1:8765/mcp run_…

It uses the MCP SDK's client and the desk's tools only, so it works with one connection and an agent key.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

REFUND = {"amount_cents": 6450, "reason": "The kettle arrived with a cracked lid."}
POLL_S = 2.0
PATIENCE_S = 600.0


async def main(url: str, run: str, key: str) -> int:
    """Carry out the refund of `run`; 0 when it is done."""
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30.0) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):

        async def call(tool: str, **arguments: Any) -> dict[str, Any]:
            result = await client.call_tool(tool, {"run_id": run, **arguments})
            return dict(result.structured_content or {})

        async def refund(**more: Any) -> dict[str, Any]:
            return await call("use_tool", tool="desk__refund_order", arguments=REFUND, **more)

        said = await refund()
        if said["code"] == "approval_required":
            approval = said["approval"]
            print(f"waiting for a human to judge {approval['request']}", flush=True)
            with anyio.move_on_after(PATIENCE_S):
                while said["code"] in ("approval_required", "approval_pending"):
                    await anyio.sleep(POLL_S)
                    said = await refund(approval_token=approval["approval_token"])
        print(said["code"], said.get("execution", ""))
        return 0 if said["code"] == "done" else 1


if __name__ == "__main__":
    if len(sys.argv) != 3 or not os.environ.get("BAILIWICK_AGENT_KEY"):
        sys.exit("usage: BAILIWICK_AGENT_KEY=bwk_… python -m examples.python_agent URL RUN")
    sys.exit(anyio.run(main, sys.argv[1], sys.argv[2], os.environ["BAILIWICK_AGENT_KEY"]))
