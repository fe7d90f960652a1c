"""The question that the policies are asked about a tool of a step, the same for a call and for its
description.
"""

from __future__ import annotations

from policies.decisions import Question, use_tool
from tool_scopes.presenting import quorum_of
from tool_scopes.standing import Standing
from tool_scopes.views import ViewTool


def question_about(standing: Standing, tool: ViewTool) -> Question:
    """May the caller use this tool of its step, given that a write's approval is redeemed before any frame
    leaves?
    """
    run, view = standing.run, tool.view
    is_write = view.effect == "write"
    return use_tool(
        standing.caller.agent,
        view.name,
        run.tenant,
        run_owner=run.principal,
        in_scope=True,
        step_kind=standing.step.kind.value,
        effect=view.effect,
        sensitive=view.sensitive,
        # The promise that write_calls keeps: it redeems an approval of this very call, by as many people.
        approved=is_write,
        people=quorum_of(tool, standing.step).needed if is_write else 0,
    )
