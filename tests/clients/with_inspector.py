"""MCP Inspector's command line, a process for each call: `with_inspector.py URL KEY ITEM INSPECTOR`."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from walk import in_text, walk


async def said(method: str, *more: str) -> dict[str, Any]:
    asked = ("--cli", sys.argv[1], "--transport", "http", "--header", f"Authorization: Bearer {sys.argv[2]}")
    process = await asyncio.create_subprocess_exec(
        sys.argv[4], *asked, "--method", method, *more, "--format", "json", stdout=-1, stderr=-1
    )
    out, errors = await process.communicate()
    # 5 says that the tool answered with an error; its answer is on stdout all the same.
    assert process.returncode in (0, 5), (process.returncode, out, errors)
    told: dict[str, Any] = json.loads(out)
    return told.get("result", told)


async def main() -> None:
    async def call(tool: str, arguments: dict[str, Any], meta: dict[str, Any] | None) -> dict[str, Any]:
        more = ["--tool-name", tool]
        for name, value in arguments.items():
            more += ["--tool-arg", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
        for name, value in (meta or {}).items():
            more += ["--tool-metadata", f"{name}={value}"]
        answer = await said("tools/call", *more)
        return in_text(answer.get("structuredContent") or answer["content"])

    listed = await said("tools/list")
    await walk([tool["name"] for tool in listed["tools"]], call, carries_meta=True)


asyncio.run(main())
