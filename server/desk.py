"""The desk: the fixed tools that every agent sees, and how their arguments become operations of the rooms.

With an agent's own key the desk is the whole list, so that one connection carries a workflow on any client.
With a step pass or a step's URL, the reading, citing and submitting tools stand beside the step's own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ledger.canonical import JsonObject
from policies.codes import Denial
from tool_scopes.approval_view import see_approval
from tool_scopes.evidence import cite, read_context
from tool_scopes.house import Answer, Caller, House
from tool_scopes.opening import open_run
from tool_scopes.proposals import propose_source
from tool_scopes.quotes import verify_quotes
from tool_scopes.refusals import Refused, refuse
from tool_scopes.steps import current_step
from tool_scopes.submission import submit_step
from tool_scopes.tool_calls import call_tool

RunId = Annotated[str, Field(description="The run, as open_run gave it (run_…).")]
Outcome = Answer | Refused


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class OpenRun(_Arguments):
    """A run to open, or to find again by its key."""

    workflow: str = Field(description="The workflow's name.")
    input: dict[str, Any] = Field(description="What the workflow needs to start; it says which keys.")
    idempotency_key: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="The same key and input always give the same run, so a retry is safe.",
    )


class InRun(_Arguments):
    """Which run is meant; a step pass already says it."""

    run_id: RunId | None = None


class CurrentStep(InRun):
    """Where is the run?"""

    with_pass: bool = Field(
        default=False, description="Also give a step pass: a credential for this step alone."
    )


class ReadContext(InRun):
    """What evidence is needed?"""

    need: str | None = Field(
        default=None,
        max_length=8_000,
        description="What you need to know, if narrower than the step's own need.",
    )


class Cite(InRun):
    """What does this provenance id stand for?"""

    source: str = Field(max_length=200, description="A provenance id, such as policy-14@3:120-188.")
    around: int = Field(
        default=0, ge=0, le=5, description="Also give the text of so many passages before and after the span."
    )


class Quote(_Arguments):
    """One quote and where it is said to stand."""

    source: str = Field(max_length=200, description="A provenance id, or an observation such as obs-…@1.")
    quote: str = Field(max_length=4_000, description="The exact words.")


class VerifyQuotes(InRun):
    """Quotes to check before they are submitted."""

    quotes: list[Quote] = Field(max_length=64)


class UseTool(InRun):
    """A call of one of the step's tools."""

    tool: str = Field(max_length=128, description="A tool of the current step.")
    arguments: dict[str, Any] = Field(default_factory=dict[str, Any])
    approval_token: str | None = Field(
        default=None, description="For a write: the approval (apr_…) of exactly this call."
    )


class SeeApproval(InRun):
    """Which approval requests?"""

    request: str | None = Field(
        default=None, max_length=64, description="One request (req_…); else all of this step."
    )


class SubmitStep(InRun):
    """The envelope that ends the step."""

    envelope: dict[str, Any] = Field(
        description=(
            "step, status (done, needs_approval, needs_review, failed), confidence (0 to 1), "
            "evidence [{source, quote}], proposed_action {type, target_id, arguments} or null, reason, state"
        )
    )
    next: str | None = Field(
        default=None, max_length=64, description="Which of the next steps, when there are several."
    )


class ProposeSource(InRun):
    """A text for the curators."""

    title: str = Field(min_length=1, max_length=200)
    text: str = Field(
        min_length=1, max_length=60_000, description="Markdown. A curator decides whether it is published."
    )


@dataclass(frozen=True, slots=True)
class DeskTool:
    """One tool of the desk. `within_step` tools also stand beside a step's own tools."""

    name: str
    description: str
    arguments: type[_Arguments]
    act: Callable[[House, Caller, Any], Awaitable[Outcome]]
    within_step: bool
    read_only: bool
    adds_only: bool = False


async def _open_run(house: House, caller: Caller, given: OpenRun) -> Outcome:
    return await open_run(house, caller, given.workflow, given.input, given.idempotency_key)


async def _current_step(house: House, caller: Caller, given: CurrentStep) -> Outcome:
    return await current_step(house, caller, given.run_id, with_pass=given.with_pass)


async def _read_context(house: House, caller: Caller, given: ReadContext) -> Outcome:
    return await read_context(house, caller, given.run_id, given.need)


async def _cite(house: House, caller: Caller, given: Cite) -> Outcome:
    return await cite(house, caller, given.run_id, given.source, given.around)


async def _verify_quotes(house: House, caller: Caller, given: VerifyQuotes) -> Outcome:
    return await verify_quotes(
        house, caller, given.run_id, [(item.source, item.quote) for item in given.quotes]
    )


async def _use_tool(house: House, caller: Caller, given: UseTool) -> Outcome:
    arguments, token = take_approval(given.arguments, given.approval_token)
    if isinstance(arguments, Denial):
        return await refuse(house, caller, None, given.tool, arguments)
    return await call_tool(house, caller, given.run_id, given.tool, arguments, token)


async def _see_approval(house: House, caller: Caller, given: SeeApproval) -> Outcome:
    return await see_approval(house, caller, given.run_id, given.request)


async def _submit_step(house: House, caller: Caller, given: SubmitStep) -> Outcome:
    return await submit_step(house, caller, given.run_id, given.envelope, given.next)


async def _propose_source(house: House, caller: Caller, given: ProposeSource) -> Outcome:
    return await propose_source(house, caller, given.run_id, given.title, given.text)


DESK: Mapping[str, DeskTool] = MappingProxyType(
    {
        tool.name: tool
        for tool in (
            DeskTool("open_run", "Open a run of a workflow.", OpenRun, _open_run, False, False, True),
            DeskTool(
                "current_step",
                "Where the run is: the step's purpose, its rules in words, its tools, and what ends it.",
                CurrentStep,
                _current_step,
                True,
                True,
            ),
            DeskTool(
                "read_context",
                "The evidence for this step: exact quotes with provenance ids, and whether they suffice.",
                ReadContext,
                _read_context,
                True,
                True,
            ),
            DeskTool(
                "cite",
                "What a provenance id stands for: the exact quote and its status.",
                Cite,
                _cite,
                True,
                True,
            ),
            DeskTool(
                "verify_quotes",
                "Check quotes before you submit: gives each one's exact provenance id, or null.",
                VerifyQuotes,
                _verify_quotes,
                True,
                True,
            ),
            DeskTool(
                "use_tool", "Use a tool of the current step by its name.", UseTool, _use_tool, False, False
            ),
            DeskTool(
                "see_approval",
                "How far the humans are with an approval request of this step.",
                SeeApproval,
                _see_approval,
                True,
                True,
            ),
            DeskTool(
                "submit_step",
                "End the current step with its envelope.",
                SubmitStep,
                _submit_step,
                True,
                False,
            ),
            DeskTool(
                "propose_source",
                "Propose a text as evidence. Only a curator publishes it.",
                ProposeSource,
                _propose_source,
                False,
                False,
                True,
            ),
        )
    }
)
"""The desk's tools by name, in the order in which they are listed."""


def take_approval(arguments: JsonObject, token: str | None) -> tuple[JsonObject | Denial, str | None]:
    """Take the reserved `approval_token` out of a call's arguments. Both ways of bringing it must agree."""
    rest = dict(arguments)
    inside = rest.pop("approval_token", None)
    if inside is not None and not isinstance(inside, str):
        return _invalid("`approval_token` must be a text."), None
    if inside is not None and token is not None and inside != token:
        return _invalid("Two different approval tokens came with this call; send one."), None
    return rest, token if inside is None else inside


async def serve_desk(
    house: House, caller: Caller, tool: DeskTool, given: JsonObject, carried: str | None = None
) -> Outcome:
    """Carry out one of the desk's tools with the arguments as they came. `carried` is an approval token that
    came beside them.
    """
    if carried is not None and tool.arguments is UseTool:
        rest, token = take_approval(given, carried)
        if isinstance(rest, Denial):
            return await refuse(house, caller, None, tool.name, rest)
        given = {**rest, "approval_token": token}
    try:
        arguments = tool.arguments.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "arguments"
        return await refuse(house, caller, None, tool.name, _invalid(f"`{where}`: {first['msg']}."))
    return await tool.act(house, caller, arguments)


def _invalid(why: str) -> Denial:
    return Denial("invalid_arguments", reason=why, detail={"why": why})
