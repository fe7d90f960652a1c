"""openai-agents with a scripted model: `with_openai_agents.py URL KEY ITEM`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

from agents import Agent, Model, ModelResponse, Runner, Usage, set_tracing_disabled
from agents.mcp import MCPServerStreamableHttp
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText
from scripted import Script


class Scripted(Model):
    def __init__(self, script: Script) -> None:
        self._script = script
        self._calls = 0

    async def get_response(self, system_instructions: Any, input: Any, *_: Any, **__: Any) -> ModelResponse:
        last = input[-1] if isinstance(input, list) else {}
        wanted = await self._script.next(last.get("output"))
        self._calls += 1
        if wanted is None:
            said = ResponseOutputText(type="output_text", text="Done.", annotations=[])
            message = ResponseOutputMessage(
                id="msg", type="message", role="assistant", status="completed", content=[said]
            )
            return ModelResponse(output=[message], usage=Usage(), response_id=None)
        call = ResponseFunctionToolCall(
            type="function_call",
            call_id=f"call_{self._calls}",
            name=wanted.tool,
            arguments=json.dumps(wanted.arguments),
        )
        return ModelResponse(output=[call], usage=Usage(), response_id=None)

    def stream_response(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        raise NotImplementedError("the walk does not stream")


async def main() -> None:
    set_tracing_disabled(True)
    script = Script()
    headers = {"Authorization": f"Bearer {sys.argv[2]}"}
    async with MCPServerStreamableHttp(
        params={"url": sys.argv[1], "headers": headers}, tool_meta_resolver=lambda _: script.meta
    ) as server:
        names = [tool.name for tool in await server.list_tools()]
        agent = Agent(name="walker", model=Scripted(script), mcp_servers=[server])
        await script.play(names, Runner.run(agent, "Walk.", max_turns=50))


asyncio.run(main())
