"""pydantic-ai with a FunctionModel: `with_pydantic_ai.py URL KEY ITEM`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    RetryPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import UsageLimits
from scripted import Script


async def main() -> None:
    script = Script()

    async def model(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        last = messages[-1].parts[-1]
        told = last.content if isinstance(last, ToolReturnPart | RetryPromptPart) else None
        wanted = await script.next(told)
        if wanted is None:
            return ModelResponse(parts=[TextPart("Done.")])
        return ModelResponse(parts=[ToolCallPart(wanted.tool, wanted.arguments)])

    async def with_meta(_: Any, call_tool: Any, name: str, arguments: dict[str, Any]) -> Any:
        return await call_tool(name, arguments, metadata=script.meta)

    headers = {"Authorization": f"Bearer {sys.argv[2]}"}
    server = MCPToolset(
        sys.argv[1],
        headers=headers,
        # A refusal is told to the model as it is, and is no reason for the framework to give up.
        tool_error_behavior="failed",
        process_tool_call=with_meta,
    )
    async with server:
        names = [tool.name for tool in await server.list_tools()]
        agent = Agent(FunctionModel(model), toolsets=[server])
        await script.play(names, agent.run("Walk.", usage_limits=UsageLimits(request_limit=None)))


asyncio.run(main())
