"""A whole agent in a page: carry out a run that waits at `execute`, once the humans have approved it.

    BAILIWICK_AGENT_KEY=bwk_… python -m examples.python_agent http://127.0.0.1:8765/mcp run_…

It uses the MCP SDK's client and the desk's tools only, so it works with one connection and an agent key.
"""

from __future__ import annotations

import os
import sys
from typing import Any, cast

import anyio
import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

POLL_S = 2.0
PATIENCE_S = 600.0


async def main(url: str, run: str, key: str) -> int:
    """Carry out the refund of `run` and end its step; 0 when it is done."""
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30.0) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):

        async def call(name: str, /, **arguments: Any) -> dict[str, Any]:
            result = await client.call_tool(name, {"run_id": run, **arguments})
            structured: dict[str, Any] = result.structured_content or {}
            return structured

        step = await call("current_step")
        if step.get("step") != "execute":
            print(f"{run} does not wait at execute: {step.get('step') or step.get('code')}")
            return 1
        # What the earlier steps concluded, and what their evidence allows; the server holds us to it.
        known = step["state"]
        refund = {"amount_cents": known["amount_cents"], "reason": known["problem"]}

        async def pay(**more: Any) -> dict[str, Any]:
            return await call("use_tool", tool="desk__refund_order", arguments=refund, **more)

        said = await pay()
        if said["code"] == "approval_required":
            approval = said["approval"]
            print(f"waiting for a human to judge {approval['request']}: {refund}", flush=True)
            with anyio.move_on_after(PATIENCE_S):
                while said["code"] in ("approval_required", "approval_pending"):
                    await anyio.sleep(POLL_S)
                    said = await pay(approval_token=approval["approval_token"])
        print(said["code"], said.get("execution", ""), flush=True)
        if said["code"] != "done":
            return 1
        envelope: dict[str, Any] = {
            "step": "execute",
            "status": "done",
            "confidence": 1,
            "evidence": [],
            "proposed_action": None,
            "reason": "The refund was paid once.",
            "state": {"refunded_cents": refund["amount_cents"]},
        }
        ended = await call("submit_step", envelope=envelope)
        print(f"the run is {ended.get('status') or ended['code']}")
        return 0


def cause(error: BaseException) -> BaseException:
    """What stands at the bottom of nested groups."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


if __name__ == "__main__":
    if len(sys.argv) != 3 or not os.environ.get("BAILIWICK_AGENT_KEY"):
        sys.exit("usage: BAILIWICK_AGENT_KEY=bwk_… python -m examples.python_agent URL RUN")
    try:
        sys.exit(anyio.run(main, sys.argv[1], sys.argv[2], os.environ["BAILIWICK_AGENT_KEY"]))
    except* (httpx2.HTTPError, MCPError) as group:
        sys.exit(f"{sys.argv[1]} cannot be used: {cause(group)}. Is the server up, and is the key its own?")
    except* KeyboardInterrupt:
        sys.exit(130)
