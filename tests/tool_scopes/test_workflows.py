"""A workflow is refused as a whole, with its line, when it could let a step do more than its kind allows."""

from __future__ import annotations

import pytest

from ledger.canonical import JsonObject
from tool_scopes.workflows import POSTURES, StepKind, fill_need, parse_workflow
from tool_scopes.yaml_files import FileRefused

EFFECTS = {
    "look": "read",
    "find": "lookup",
    "also_find": "lookup",
    "try": "simulate",
    "pay": "write",
    "pay_more": "write",
    "bound": "read",
}

GOOD = """\
workflow: refund
version: 1
purpose: Decide on one refund.
input:
  type: object
  properties: {order_id: {type: string}, request: {type: string}}
  required: [order_id, request]
  additionalProperties: false
start: read
steps:
  read:
    kind: read
    purpose: Find out what was asked.
    context: {collections: [policies], need: "{request}", budget: 400}
    tools: [look]
    output: {type: object, properties: {total: {type: integer}}, required: [total]}
    carry: [total]
    next: [execute]
  execute:
    kind: execute
    purpose: Carry it out.
    context: {collections: [policies], need: "refund of {total} for {order_id}"}
    tools: [pay]
"""


def test_a_sound_workflow_loads_with_its_steps_and_a_digest_of_its_text() -> None:
    workflow = parse_workflow(GOOD, path="refund.yaml", effects=EFFECTS)
    assert list(workflow.steps) == ["read", "execute"]
    assert workflow.steps["read"].kind is StepKind.READ
    assert workflow.digest.startswith("sha256:")
    assert workflow.digest != parse_workflow(GOOD + "# again\n", path="refund.yaml", effects=EFFECTS).digest


@pytest.mark.parametrize(
    ("changed", "into", "line", "sentence"),
    [
        (
            "    tools: [look]",
            "    tools: [nothing]",
            15,
            "names the tool nothing, which the catalogue does not offer",
        ),
        ("    tools: [look]", "    tools: [pay]", 15, "kind read, which allows read; pay is a write tool"),
        ("    tools: [look]", "    tools: [try]", 15, "try is a simulate tool"),
        ("    tools: [look]", "    tools: [look, look]", 15, "names a tool twice"),
        ("    tools: [pay]", "    tools: [pay, pay_more]", 23, "allows 1 write; pay_more is a write tool"),
        ("    next: [execute]", "    next: [elsewhere]", 18, "goes on to elsewhere, which is no step"),
        ("    next: [execute]", "    next: []", 19, "step execute cannot be reached from read"),
        ("start: read", "start: nowhere", 9, "start names no step: nowhere"),
        ("    carry: [total]", "    carry: [other]", 17, "carries other, which its output does not declare"),
        ('need: "{request}"', 'need: "{requested}"', 14, "asks for {requested}"),
        ('need: "{request}"', 'need: "{request.__class__}"', 14, "asks for {request.__class__}"),
        ("version: 1", "version: one", 2, "version"),
        ("    purpose: Carry it out.", "    purpse: Carry it out.", 21, "nobody knows this key"),
        ("    kind: execute", "    kind: perform", 20, "kind"),
        ("    output: {type: object,", "    output: {type: thing,", 16, "no valid JSON Schema"),
        ("version: 1", "version: 1\nversion: 2", 3, "stands twice"),
        ("    tools: [look]", "    tools: [look, find]", 15, "find is a lookup tool"),
        ("    kind: read\n", "    kind: draft\n", 15, "kind draft, which allows no tools"),
        ("    carry: [total]", "    carry: [order_id]", 17, "which its output does not declare"),
        (
            "start: read",
            "subject: nothing\nstart: read",
            9,
            "subject names nothing, which the input does not",
        ),
        ("  execute:\n", "  human:\n", 19, "no step can be named human"),
        ("next: [execute]", "next: [execute]\n    on: {denied: gone}", 19, "goes to gone, which is no step"),
        ("next: [execute]", "next: [execute]\n    on: {denied: read}", 19, "goes to itself"),
        ("next: [execute]", "next: [execute]\n    on: {dennied: read}", 19, "nobody knows this key"),
        ("next: [execute]", "next: [execute]\n    on: {timeout: execute}", 19, "has no time limit"),
        ('need: "{request}"', 'pinned: [policy], need: "{request}"', 14, "which is no provenance id"),
        ("    tools: [pay]", "    tools: [pay]\n    limits: {calls: -1}", 24, "limits.calls"),
        ("    tools: [look]", "    tools: [bound]", 15, "bound to user_id, which nothing provides"),
        (
            "    tools: [pay]",
            "    tools: [pay]\n    checkpoints: {bundle_over: 5}",
            24,
            "nobody knows this key",
        ),
        ("purpose: Decide on one refund.", "purpose: [unclosed", 4, "not well-formed YAML"),
    ],
)
def test_a_mistake_is_refused_with_its_line_and_a_sentence(
    changed: str, into: str, line: int, sentence: str
) -> None:
    bound = {"bound": frozenset({"user_id"}), "look": frozenset({"order_id"})}
    assert changed in GOOD
    with pytest.raises(FileRefused) as refused:
        parse_workflow(GOOD.replace(changed, into, 1), path="refund.yaml", effects=EFFECTS, bound=bound)
    assert str(refused.value).startswith(f"refund.yaml:{line}:")
    assert sentence in str(refused.value)


def test_timeouts_that_alone_lead_a_run_around_for_ever_are_refused_and_one_that_ends_is_not() -> None:
    timed = GOOD.replace(
        "next: [execute]", "next: [execute]\n    limits: {minutes: 5}\n    on: {timeout: execute}"
    )
    assert parse_workflow(timed, path="refund.yaml", effects=EFFECTS).steps["read"].on.timeout == "execute"
    with pytest.raises(FileRefused, match="around for ever, from read to execute to read"):
        parse_workflow(
            timed + "    limits: {minutes: 5}\n    on: {timeout: read}\n", path="refund.yaml", effects=EFFECTS
        )


def test_a_step_that_only_trouble_leads_to_can_be_reached() -> None:
    aside = GOOD.replace("next: [execute]", "next: []\n    on: {contradictory: execute}")
    assert parse_workflow(aside, path="refund.yaml", effects=EFFECTS).steps["read"].on.steps() == {
        "contradictory": "execute"
    }


def test_no_step_kind_but_execute_may_hold_a_write() -> None:
    assert [kind for kind in StepKind if POSTURES[kind].get("write")] == [StepKind.EXECUTE]
    assert POSTURES[StepKind.DRAFT] == {}


def test_a_need_is_filled_from_the_state_and_never_formats_what_it_was_given() -> None:
    state: JsonObject = {"request": "{order_id.__class__} please", "order_id": "A-1", "total": 12}
    assert (
        fill_need("{request} for {order_id}: {total}{later}", state)
        == "{order_id.__class__} please for A-1: 12"
    )
