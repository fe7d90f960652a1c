"""Workflows that stop for a human less often, or let an agent do more, lower the gate, and say how."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from ledger.canonical import text_digest
from policies.gate_state import digest_of_workflows
from tool_scopes.workflow_lowering import digest_of_kept, loosened

Steps = dict[str, Any]

WORKFLOW: dict[str, Any] = {
    "workflow": "refund",
    "version": 1,
    "purpose": "To refund.",
    "input": {"type": "object"},
    "start": "look",
    "steps": {
        "look": {
            "kind": "read",
            "purpose": "To look.",
            "tools": ["shop__order"],
            "context": {"need": "policy", "labels": ["hr"]},
            "next": ["draft"],
        },
        "draft": {"kind": "draft", "purpose": "To draft.", "next": ["act"]},
        "act": {
            "kind": "execute",
            "purpose": "To act.",
            "tools": ["shop__refund"],
            "checkpoints": {
                "confidence_below": 0.6,
                "evidence": ["contradictory", "stale"],
                "sensitive_action": True,
                "bundle_above": 500,
                "repeated_retries": 7,
            },
            "limits": {
                "executions": 2,
                "retries": 2,
                "calls": 5,
                "minutes": 10,
                "approvals": 2,
                "approval_minutes": 30,
            },
        },
    },
}


def kept(*workflows: dict[str, Any]) -> str:
    return json.dumps({one["workflow"]: json.dumps(one) for one in workflows}, sort_keys=True)


def changed(change: Callable[[Steps], object], *, name: str = "refund") -> dict[str, Any]:
    after = copy.deepcopy(WORKFLOW)
    after["workflow"] = name
    change(after["steps"])
    return after


def checkpoints(**values: Any) -> Callable[[Steps], object]:
    return lambda steps: steps["act"]["checkpoints"].update(values)


def limits(**values: int) -> Callable[[Steps], object]:
    return lambda steps: steps["act"]["limits"].update(values)


def may_use(step: str, tool: str) -> Callable[[Steps], object]:
    return lambda steps: steps[step].update(tools=[*steps[step].get("tools", []), tool])


LOOSER: dict[str, Callable[[Steps], object]] = {
    "act of refund no longer stops at the same confidence": checkpoints(confidence_below=0.5),
    "act of refund no longer stops at stale evidence": checkpoints(evidence=["contradictory"]),
    "act of refund no longer stops before a sensitive action": checkpoints(sensitive_action=False),
    "act of refund allows more executions": limits(executions=3),
    "act of refund allows more retries": limits(retries=3),
    "act of refund allows more calls": limits(calls=6),
    "act of refund has more time": limits(minutes=11),
    "act of refund no longer stops at as small a bundle": checkpoints(bundle_above=600),
    "act of refund stops later for repeated retries": checkpoints(repeated_retries=8),
    "act of refund no longer brings in a human on denied": lambda steps: steps["act"].update(
        on={"denied": "look"}
    ),
    "act of refund needs fewer approvals": limits(approvals=1),
    "act of refund lets an approval live longer": limits(approval_minutes=31),
    "look of refund may use shop__customers": may_use("look", "shop__customers"),
    "look of refund may be shown what is labelled board": (
        lambda steps: steps["look"]["context"].update(labels=["hr", "board"])
    ),
    "act of refund is reached past draft": lambda steps: steps["look"].update(next=["draft", "act"]),
}


@pytest.mark.parametrize(("why", "change"), LOOSER.items(), ids=LOOSER)
def test_a_looser_step_lowers_the_gate_and_its_tightening_does_not(
    why: str, change: Callable[[Steps], object]
) -> None:
    before, after = kept(WORKFLOW), kept(changed(change))
    assert loosened(before, after) == (f"step {why}",)
    assert loosened(after, before) == ()


def test_a_checkpoint_that_is_left_out_lowers_the_gate() -> None:
    assert loosened(kept(WORKFLOW), kept(changed(lambda steps: steps["act"].pop("checkpoints")))) == (
        "step act of refund no longer stops at the same confidence, no longer stops at stale evidence, no "
        "longer stops before a sensitive action, no longer stops at as small a bundle",
    )


def test_a_start_beyond_the_first_steps_lowers_the_gate() -> None:
    later = {**WORKFLOW, "start": "act", "steps": {"act": WORKFLOW["steps"]["act"]}}
    assert loosened(kept(WORKFLOW), kept(later)) == (
        "step act of refund is reached past draft, is reached past look",
    )


@pytest.mark.parametrize("beside", [True, False], ids=["beside_it", "in_its_place"])
def test_a_looser_copy_under_another_name_lowers_the_gate(beside: bool) -> None:
    copied = changed(limits(executions=50), name="refund-fast")
    after = kept(WORKFLOW, copied) if beside else kept(copied)
    assert loosened(kept(WORKFLOW), after) == ("step act of refund-fast allows more executions",)


def test_a_looser_step_of_another_name_lowers_the_gate() -> None:
    def more(steps: Steps) -> None:
        steps["act2"] = copy.deepcopy(steps["act"])
        steps["act2"]["limits"]["approvals"] = 1
        steps["draft"]["next"] = ["act", "act2"]

    assert loosened(kept(WORKFLOW), kept(changed(more))) == ("step act2 of refund needs fewer approvals",)


def test_what_asks_for_more_or_for_other_things_lowers_nothing() -> None:
    def other(steps: Steps) -> None:
        steps["check"] = {"kind": "classify", "purpose": "To check.", "next": ["act"]}
        steps["draft"].update(next=["check"], purpose="To draft with care.")

    assert loosened(kept(WORKFLOW), kept(changed(other))) == ()
    new = changed(lambda steps: steps["act"].update(tools=["shop__rename"], limits={}), name="rename")
    new["steps"]["look"]["tools"] = []
    assert loosened(kept(WORKFLOW), kept(WORKFLOW, new)) == ()
    assert loosened(kept(WORKFLOW), kept()) == ()


def test_what_is_not_known_might_have_been_tighter() -> None:
    assert loosened(None, kept(WORKFLOW)) == ("what the workflows in force say is not known",)
    unreadable = json.dumps({"refund": "workflow: refund"})
    assert loosened(unreadable, kept(WORKFLOW)) == ("the workflows in force cannot be read by this version",)


def test_what_is_kept_has_the_digest_by_which_the_gate_knows_it() -> None:
    digests = {"refund": text_digest(json.dumps(WORKFLOW))}
    assert digest_of_kept(kept(WORKFLOW)) == digest_of_workflows(digests)
