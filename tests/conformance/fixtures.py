"""What the official conformance suite wants to find: tools, resources and prompts of fixed names.

They are registered beside the production handlers, on the production server, in this test alone. Each is
counted when it is called, because a scenario that finds nothing may pass.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.shared.exceptions import MCPError
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    Completion,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    SetLevelRequestParams,
    TextContent,
    TextResourceContents,
)
from pydantic import BaseModel, Field

from server.gateway import GatewayServer

PIXEL: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SILENCE: Final = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA="
fixtures = MCPServer("fixtures")
Asked = str | InputRequiredResult


class Word(BaseModel):
    """What a person is asked for."""

    response: str = Field(description="A word")


class WithDefaults(BaseModel):
    """SEP-1034: a default for each primitive type."""

    name: str = Field(default="John Doe")
    age: int = Field(default=30)
    score: float = Field(default=95.5)
    status: str = Field(default="active", json_schema_extra={"enum": ["active", "inactive", "pending"]})
    verified: bool = Field(default=True)


def _choices(*values: str) -> list[dict[str, Any]]:
    return [{"const": value, "title": value.title()} for value in values]


def _extra(**schema: Any) -> dict[str, Any]:
    return schema


class WithEnums(BaseModel):
    """SEP-1330: every form of an enumeration."""

    untitledSingle: str = Field(json_schema_extra=_extra(enum=["option1", "option2"]))
    titledSingle: str = Field(json_schema_extra=_extra(oneOf=_choices("value1", "value2")))
    untitledMulti: list[str] = Field(
        json_schema_extra=_extra(items={"type": "string", "enum": ["option1", "option2"]})
    )
    titledMulti: list[str] = Field(json_schema_extra=_extra(items={"anyOf": _choices("value1", "value2")}))
    legacyEnum: str = Field(
        json_schema_extra=_extra(enum=["opt1", "opt2"], enumNames=["Option One", "Option Two"])
    )


def _image() -> ImageContent:
    return ImageContent(type="image", data=PIXEL, mime_type="image/png")


def _embedded(uri: str, text: str, mime: str = "text/plain") -> EmbeddedResource:
    return EmbeddedResource(
        type="resource", resource=TextResourceContents(uri=uri, mime_type=mime, text=text)
    )


def _form(message: str, **properties: Any) -> ElicitRequest:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def _name(message: str = "What is your name?") -> ElicitRequest:
    return _form(message, name={"type": "string"})


def _sampling(text: str) -> CreateMessageRequest:
    said = SamplingMessage(role="user", content=TextContent(type="text", text=text))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[said], max_tokens=50))


@fixtures.tool(description="A fixture of the suite.")
def test_simple_text() -> str:
    return "This is a simple text response for testing."


@fixtures.tool(description="A fixture of the suite.")
def test_image_content() -> list[ImageContent]:
    return [_image()]


@fixtures.tool(description="A fixture of the suite.")
def test_audio_content() -> list[AudioContent]:
    return [AudioContent(type="audio", data=SILENCE, mime_type="audio/wav")]


@fixtures.tool(description="A fixture of the suite.")
def test_embedded_resource() -> list[EmbeddedResource]:
    return [_embedded("test://embedded-resource", "This is an embedded resource content.")]


@fixtures.tool(description="A fixture of the suite.")
def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
    mixed = _embedded("test://mixed-content-resource", '{"test":"data","value":123}', "application/json")
    return [TextContent(type="text", text="Multiple content types test:"), _image(), mixed]


@fixtures.tool(description="A fixture of the suite.")
async def test_tool_with_logging(ctx: Context) -> str:
    for message in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(message)  # pyright: ignore[reportDeprecated]
    return "logged"


@fixtures.tool(description="A fixture of the suite.")
async def test_logging_tool(ctx: Context) -> str:
    await ctx.info("logged once")  # pyright: ignore[reportDeprecated]
    return "logged"


@fixtures.tool(description="A fixture of the suite.")
async def test_tool_with_progress(ctx: Context) -> str:
    for done in (0, 50, 100):
        await ctx.report_progress(progress=done, total=100, message=f"Completed step {done} of 100")
    return "progressed"


@fixtures.tool(description="A fixture of the suite.")
def test_error_handling() -> str:
    raise ToolError("This tool intentionally returns an error for testing")


@fixtures.tool(description="A fixture of the suite.")
async def test_sampling(prompt: str, ctx: Context) -> str:
    said = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
    result = await ctx.session.create_message(  # pyright: ignore[reportDeprecated]
        messages=[said], max_tokens=100, related_request_id=ctx.request_id
    )
    return f"LLM response: {result.content.text if result.content.type == 'text' else ''}"


async def _elicited(ctx: Context, message: str, schema: type[BaseModel]) -> str:
    result = await ctx.elicit(message=message, schema=schema)
    content = result.data.model_dump_json() if result.action == "accept" else "{}"
    return f"action={result.action}, content={content}"


@fixtures.tool(description="A fixture of the suite.")
async def test_elicitation(message: str, ctx: Context) -> str:
    return "User response: " + await _elicited(ctx, message, Word)


@fixtures.tool(description="A fixture of the suite.")
async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
    return "Elicitation completed: " + await _elicited(ctx, "Please review", WithDefaults)


@fixtures.tool(description="A fixture of the suite.")
async def test_elicitation_sep1330_enums(ctx: Context) -> str:
    return "Elicitation completed: " + await _elicited(ctx, "Please choose", WithEnums)


@fixtures.tool(description="A fixture of the suite.")
async def test_missing_capability(ctx: Context) -> str:
    declared = ctx.session.client_capabilities
    if declared is None or declared.sampling is None:
        raise MCPError(
            code=MISSING_REQUIRED_CLIENT_CAPABILITY,
            message="This tool needs a client that samples",
            data={"requiredCapabilities": {"sampling": {}}},
        )
    return "sampling is declared"


@fixtures.tool(description="A fixture of the suite.")
async def test_streaming_elicitation(ctx: Context) -> Asked:
    return "answered" if ctx.input_responses else InputRequiredResult(input_requests={"word": _name()})


@fixtures.tool(description="A fixture of the suite.")
async def test_input_required_result_elicitation(ctx: Context) -> Asked:
    answer = (ctx.input_responses or {}).get("user_name")
    if isinstance(answer, ElicitResult) and answer.content:
        return f"Hello, {answer.content.get('name')}!"
    return InputRequiredResult(input_requests={"user_name": _name()})


@fixtures.tool(description="A fixture of the suite.")
async def test_input_required_result_sampling(ctx: Context) -> Asked:
    if "capital_question" in (ctx.input_responses or {}):
        return "The capital was named."
    return InputRequiredResult(
        input_requests={"capital_question": _sampling("What is the capital of France?")}
    )


@fixtures.tool(description="A fixture of the suite.")
async def test_input_required_result_list_roots(ctx: Context) -> Asked:
    if "client_roots" in (ctx.input_responses or {}):
        return "The roots were listed."
    return InputRequiredResult(input_requests={"client_roots": ListRootsRequest()})


@fixtures.tool(description="A fixture of the suite.")
async def test_input_required_result_request_state(ctx: Context) -> Asked:
    if "confirm" in (ctx.input_responses or {}) and ctx.request_state == "kept":
        return "state-ok"
    return InputRequiredResult(
        input_requests={"confirm": _form("Please confirm", ok={"type": "boolean"})}, request_state="kept"
    )


@fixtures.tool(description="A fixture of the suite.")
async def test_input_required_result_tampered_state(ctx: Context) -> Asked:
    if ctx.request_state is not None:
        return f"state-ok: {ctx.request_state}"
    return InputRequiredResult(
        input_requests={"confirm": _form("Please confirm", ok={"type": "boolean"})}, request_state="kept"
    )


@fixtures.tool(description="A fixture of the suite.")
async def test_input_required_result_multiple_inputs(ctx: Context) -> Asked:
    if {"user_name", "greeting", "client_roots"} <= set(ctx.input_responses or {}):
        return "All inputs came."
    asked: dict[str, InputRequest] = {
        "user_name": _name(),
        "greeting": _sampling("Say hello"),
        "client_roots": ListRootsRequest(),
    }
    return InputRequiredResult(input_requests=asked, request_state="several")


@fixtures.tool(description="A fixture of the suite.")
async def test_input_required_result_multi_round(ctx: Context) -> Asked:
    given = ctx.input_responses or {}
    if ctx.request_state == "2" and "step2" in given:
        return "Both rounds are over."
    if ctx.request_state == "1" and "step1" in given:
        color = _form("Step 2: What is your favourite colour?", color={"type": "string"})
        return InputRequiredResult(input_requests={"step2": color}, request_state="2")
    return InputRequiredResult(input_requests={"step1": _name("Step 1: your name?")}, request_state="1")


@fixtures.tool(description="A fixture of the suite.")
async def test_input_required_result_capabilities(ctx: Context) -> InputRequiredResult:
    declared = ctx.client_capabilities
    asked: dict[str, InputRequest] = {}
    if declared is not None and declared.sampling is not None:
        asked["sample"] = _sampling("Say hello")
    if declared is not None and declared.elicitation is not None:
        asked["ask"] = _name()
    return InputRequiredResult(input_requests=asked, request_state="gated")


@fixtures.resource("test://static-text")
def static_text() -> str:
    return "This is the content of the static text resource."


@fixtures.resource("test://static-binary", mime_type="image/png")
def static_binary() -> bytes:
    return base64.b64decode(PIXEL)


@fixtures.resource("test://watched-resource")
def watched() -> str:
    return "watched"


@fixtures.resource("test://template/{id}/data", mime_type="application/json")
def template(id: str) -> str:
    return f'{{"id":"{id}","templateTest":true,"data":"Data for ID: {id}"}}'


@fixtures.prompt(description="A fixture of the suite.")
def test_simple_prompt() -> list[UserMessage]:
    return [UserMessage(content=TextContent(type="text", text="This is a simple prompt for testing."))]


@fixtures.prompt(description="A fixture of the suite.")
def test_prompt_with_arguments(arg1: str, arg2: str) -> list[UserMessage]:
    said = f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"
    return [UserMessage(content=TextContent(type="text", text=said))]


@fixtures.prompt(description="A fixture of the suite.")
def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:
    said = TextContent(type="text", text="Please process the embedded resource above.")
    return [
        UserMessage(content=_embedded(resourceUri, "Embedded resource content for testing.")),
        UserMessage(content=said),
    ]


@fixtures.prompt(description="A fixture of the suite.")
def test_prompt_with_image() -> list[UserMessage]:
    said = TextContent(type="text", text="Please analyze the image above.")
    return [UserMessage(content=_image()), UserMessage(content=said)]


@fixtures.prompt(description="A fixture of the suite.")
async def test_input_required_result_prompt(ctx: Context) -> Any:
    answer = (ctx.input_responses or {}).get("user_context")
    if isinstance(answer, ElicitResult):
        return [UserMessage(content=TextContent(type="text", text=f"Context: {answer.content}"))]
    asked = _form("What is the context?", context={"type": "string"})
    return InputRequiredResult(input_requests={"user_context": asked})


@fixtures.completion()
async def complete(*_given: Any) -> Completion:
    return Completion(values=["test"], total=1, has_more=False)


def register(server: GatewayServer, called: Counter[str]) -> None:
    """Put the fixtures beside what `server` serves; `called` counts their calls."""
    _beside(server, called, "tools/call", lambda params: params.name, _NAMES.__contains__)
    _beside(server, called, "prompts/get", lambda params: params.name, _NAMES.__contains__)
    _beside(server, called, "resources/read", lambda params: params.uri, _is_resource)
    for method in ("resources/subscribe", "resources/unsubscribe"):
        _beside(server, called, method, lambda params, of=method: f"{of} {params.uri}", _is_watched)
    _beside(
        server,
        called,
        "completion/complete",
        lambda params: getattr(params.ref, "name", ""),
        _NAMES.__contains__,
    )
    for method, key in _LISTS.items():
        _joined(server, called, method, key)

    async def set_level(_ctx: ServerRequestContext[Any, Any], _params: SetLevelRequestParams) -> EmptyResult:
        called["logging/setLevel"] += 1
        return EmptyResult()

    server.add_request_handler("logging/setLevel", SetLevelRequestParams, set_level)


_LISTS: Final = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
}
_NAMES: Final = frozenset(name for name in globals() if name.startswith("test_"))


def _beside(
    server: GatewayServer,
    called: Counter[str],
    method: str,
    name_of: Callable[[Any], str],
    is_ours: Callable[[str], bool],
) -> None:
    """What is ours goes to the fixtures, everything else to the production handler."""
    ours, theirs = _handlers(server, method)

    async def either(ctx: ServerRequestContext[Any, Any], params: Any) -> Any:
        name = name_of(params)
        if not is_ours(name):
            return await theirs(ctx, params)
        called[name] += 1
        return EmptyResult() if ours is None else await ours(ctx, params)

    server.add_request_handler(method, _params_of(server, method), either)


def _joined(server: GatewayServer, called: Counter[str], method: str, key: str) -> None:
    """The production list, and the fixtures behind it."""
    ours, theirs = _handlers(server, method)
    assert ours is not None

    async def both(ctx: ServerRequestContext[Any, Any], params: Any) -> Any:
        called[method] += 1
        known, more = _plain(await theirs(ctx, params)), _plain(await ours(ctx, params))
        return {**known, key: [*known[key], *more[key]]}

    server.add_request_handler(method, _params_of(server, method), both)


def _handlers(server: GatewayServer, method: str) -> tuple[Any, Any]:
    inner = fixtures._lowlevel_server.get_request_handler(method)  # pyright: ignore[reportPrivateUsage]
    outer = server.get_request_handler(method)
    assert outer is not None
    return None if inner is None else inner.handler, outer.handler


def _params_of(server: GatewayServer, method: str) -> type[BaseModel]:
    entry = server.get_request_handler(method)
    assert entry is not None
    return entry.params_type


def _plain(result: Any) -> dict[str, Any]:
    if isinstance(result, Mapping):
        return dict(cast("Mapping[str, Any]", result))
    plain: dict[str, Any] = result.model_dump(by_alias=True, exclude_none=True)
    return plain


def _is_resource(uri: str) -> bool:
    """Of the same scheme, what does not exist is the production server's matter."""
    known = ("test://static-text", "test://static-binary", "test://watched-resource")
    return uri in known or uri.startswith("test://template/")


def _is_watched(name: str) -> bool:
    return "test://" in name
