"""The walk that every client takes, in its own environment: list, read, a refused write, the approved one, a
replay. It knows nothing of the client but how it lists and calls.

A person approves outside: the walk prints `approve REQUEST` and waits for a line. At the end it prints what
it saw, as one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any, cast

Call = Callable[..., Awaitable[dict[str, Any]]]
APPROVAL_META = "dev.bailiwick/approval"


async def walk(names: list[str], call: Call, *, carries_meta: bool) -> None:
    """Walk a run with `call(tool, arguments, meta)`; it gives the answer's JSON, refused or not."""
    saw: dict[str, Any] = {"tools": names}
    given = {"item_id": sys.argv[3], "request": "When may the price of an item be changed?"}
    opened = await call("open_run", {"workflow": "change", "input": given}, None)
    run = opened["run"]
    read = await call("read_context", {"run_id": run}, None)
    saw["read"] = [read["code"], len(read["items"]) > 0]
    saw["by argument"] = await _write(call, run, 5, by_meta=False)
    if carries_meta:
        saw["by meta"] = await _write(call, run, 6, by_meta=True)
    print(json.dumps(saw), flush=True)


async def _write(call: Call, run: str, price: int, *, by_meta: bool) -> list[str]:
    write = {"tool": "shop__change_item", "arguments": {"item_id": sys.argv[3], "price": price}}
    asked = {"run_id": run, **write}
    refused = await call("use_tool", asked, None)
    print("approve", refused["approval"]["request"], flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    token = refused["approval"]["approval_token"]
    carried = {APPROVAL_META: token} if by_meta else None
    again = asked if by_meta else {**asked, "approval_token": token}
    done = await call("use_tool", again, carried)
    replayed = await call("use_tool", again, carried)
    return [refused["code"], done["code"], replayed["code"]]


def in_text(said: Any) -> Any:
    """The JSON object in what a model is told of a tool's answer, however a framework wraps it."""
    if isinstance(said, dict) and "code" in said:
        return cast("dict[str, Any]", said)
    if isinstance(said, dict) and "text" in said:
        return in_text(said["text"])
    if isinstance(said, list) and said:
        return in_text(said[0])
    text = said if isinstance(said, str) else json.dumps(said)
    begin = text.find("{")
    found, _ = json.JSONDecoder().raw_decode(text[begin:])
    return found if "code" in found else in_text(found)
