"""The step that a run is at, in words and schemas that let a model which knows nothing of Bailiwick work in
it.
"""

from __future__ import annotations

from functools import partial

from ledger.canonical import JsonObject, JsonValue
from ledger.clock import rfc3339, system_now_ms
from ledger.transaction import Reading, Transaction
from policies.codes import Denial
from policies.explaining import words_for_agent
from tool_scopes.asking import question_about
from tool_scopes.house import Answer, Caller, House
from tool_scopes.passes import issue_pass
from tool_scopes.refusals import Refused, refuse
from tool_scopes.reviews import find_review
from tool_scopes.rules import EFFECT_RULES, rules_in_words
from tool_scopes.runs import Run, find_run
from tool_scopes.standing import Standing, stand
from tool_scopes.timeouts import end_overdue
from tool_scopes.views import without_token
from tool_scopes.workflows import StepKind, Workflow


async def current_step(
    house: House, caller: Caller, run_id: str | None, *, with_pass: bool = False
) -> Answer | Refused:
    """Where the run is and what may be done there; with a fresh step pass for an orchestrator that asks for
    one. A step whose time is over is left first.
    """

    def look(reading: Reading) -> Standing | Denial:
        return stand(house, reading, caller, run_id, at_rest=True)

    standing = house.ledger.read(look)
    if not isinstance(standing, Denial) and standing.run.is_overdue(system_now_ms()):
        await house.ledger.transact(partial(end_overdue, house, only=standing.run.id))
        standing = house.ledger.read(look)
    if isinstance(standing, Denial):
        return await refuse(house, caller, None, "current_step", standing)
    review = house.ledger.read(lambda reading: find_review(reading, standing.run))
    body = describe_step(house, standing.run, standing.workflow)
    _say_what_policy_denies(house, standing, body)
    if review is not None:
        body["waiting_for_a_human"] = list[JsonValue](review.reasons)
    if with_pass:

        def issue(tx: Transaction) -> str | Denial:
            run = find_run(tx, standing.run.id)
            if run is None or run.epoch != standing.run.epoch:
                return Denial("step_closed", reason="the run moved on before its pass could be issued")
            if run.status == "paused":
                return Denial("checkpoint_open", reason=f"run {run.id} is paused at step {run.step}")
            return issue_pass(tx, run, house.pass_lifetime_ms)

        issued = await house.ledger.transact(issue)
        if isinstance(issued, Denial):
            return await refuse(house, caller, standing.run.id, "current_step", issued)
        body["step_pass"] = issued
    return Answer("done", body)


def _say_what_policy_denies(house: House, standing: Standing, body: JsonObject) -> None:
    """Mark each tool of the step that the policies deny whatever is approved, with what they say of it."""
    denied = {
        name: words_for_agent(house.policies.now, decision)
        for name, tool in standing.scope.tools.items()
        if not (decision := house.policies.decide(question_about(standing, tool))).allowed
    }
    tools = body["tools"]
    for told in tools if denied and isinstance(tools, list) else ():
        if isinstance(told, dict) and told["name"] in denied:
            told["denied"] = denied[str(told["name"])]


def describe_step(house: House, run: Run, workflow: Workflow) -> JsonObject:
    """Everything that an agent needs for the step that its run is at, and nothing that belongs to another."""
    step = workflow.steps[run.step]
    body: JsonObject = {
        "run": run.id,
        "workflow": workflow.name,
        "step": step.name,
        "kind": step.kind.value,
        "epoch": run.epoch,
        "status": run.status,
        "purpose": step.purpose,
        "rules": rules_in_words(step),
        "state": run.state,
        "tools": [
            {
                "name": tool.name,
                "effect": EFFECT_RULES[tool.view.effect],
                "description": tool.description,
                "input_schema": tool.input_schema,
            }
            for tool in house.scopes.scope(workflow, step).tools.values()
        ],
        "output_schema": step.output,
        "next": list[JsonValue](step.next),
    }
    if run.note:
        body["sent_back_because"] = run.note
    if run.deadline_ms is not None and run.status == "open":
        body["until"] = rfc3339(run.deadline_ms)
    if step.limits.calls is not None:
        body["calls_left"] = max(0, step.limits.calls - run.calls)
    if step.kind is StepKind.DRAFT:
        body["can_propose"] = [
            {
                "type": tool.name,
                "description": tool.description,
                "arguments": without_token(tool.input_schema),
            }
            for name in step.next
            for tool in house.scopes.scope(workflow, workflow.steps[name]).tools.values()
            if tool.view.effect == "write"
        ]
    if step.needs is not None:
        body["context"] = {
            "collections": list[JsonValue](step.needs.collections),
            "budget_tokens": step.needs.budget,
        }
    return body
