"""A drafted workflow loads as it is, whatever tools it is for; and every workflow can be drawn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tool_scopes.workflow_drafts import DraftRefused, draft_workflow
from tool_scopes.workflow_drawing import as_mermaid, in_terminal
from tool_scopes.workflows import parse_workflow

EFFECTS = {"look": "read", "see": "read", "find": "lookup", "try": "simulate", "pay": "write"}
BOUND = {"look": frozenset({"order_id"}), "pay": frozenset({"order_id", "a key: with\u00a0colons"})}


@given(st.lists(st.sampled_from(sorted(EFFECTS)), unique=True))
def test_a_draft_loads_with_every_tool_in_a_step_of_its_kind(tools: list[str]) -> None:
    text = draft_workflow("shop", tools, EFFECTS, BOUND)
    workflow = parse_workflow(text, path="shop.yaml", effects=EFFECTS, bound=BOUND)
    assert sorted(tool for step in workflow.steps.values() for tool in step.tools) == sorted(tools)
    assert workflow.steps["draft"].next == (("execute",) if "pay" in tools else ())
    drawn = "\n".join(in_terminal(workflow))
    mermaid = "\n".join(as_mermaid(workflow))
    for name in (*workflow.steps, *tools):
        assert name in drawn
        assert name in mermaid


@pytest.mark.parametrize(
    ("tools", "told"),
    [
        (["nothing"], "does not offer nothing; it offers find, look"),
        (["pay", "refund"], "pay, refund are several"),
    ],
)
def test_tools_that_make_no_workflow_are_refused_in_a_sentence(tools: list[str], told: str) -> None:
    with pytest.raises(DraftRefused, match=told):
        draft_workflow("shop", tools, {**EFFECTS, "refund": "write"}, BOUND)


TEXT = """\
workflow: paths
version: 3
purpose: Show every way.
input: {type: object}
start: look
steps:
  look:
    kind: read
    purpose: Look.
    context: {need: "what is it?"}
    tools: [look]
    next: [act, look_again]
    limits: {minutes: 5}
    on: {timeout: aside, contradictory: aside}
  look_again: {kind: read, purpose: Again., next: [look]}
  act: {kind: execute, purpose: Act., tools: [pay]}
  aside: {kind: read, purpose: Else.}
"""


def test_a_drawing_shows_ordinary_ways_trouble_and_humans() -> None:
    workflow = parse_workflow(TEXT, path="paths.yaml", effects=EFFECTS)
    drawn = "\n".join(in_terminal(workflow))
    assert "─▶ look_again" in drawn
    assert "╌▶ aside  on contradictory, timeout" in drawn
    assert "╌▶ human  insufficient" in drawn
    mermaid = list(as_mermaid(workflow))
    assert mermaid[0] == "flowchart TD"
    assert "  begin([paths 3]) --> s0" in mermaid
    assert '  s0 -. "on contradictory, timeout" .-> s3' in mermaid
    assert '  s0 -. "insufficient" .-> human' in mermaid
    assert "  s1 --> done" in mermaid
    assert "  s2 --> s0" in mermaid
