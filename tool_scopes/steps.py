"""The step that a run is at, in words and schemas that let a model which knows nothing of Bailiwick work in
it.
"""

from __future__ import annotations

from ledger.canonical import JsonObject, JsonValue
from ledger.transaction import Transaction
from policies.codes import Denial
from policies.explaining import words_for_agent
from tool_scopes.asking import question_about
from tool_scopes.house import Answer, Caller, House
from tool_scopes.passes import issue_pass
from tool_scopes.refusals import Refused, refuse
from tool_scopes.reviews import find_review
from tool_scopes.runs import Run, find_run
from tool_scopes.scopes import Scope
from tool_scopes.standing import Standing, stand
from tool_scopes.workflows import Step, StepKind, Workflow

KIND_RULES = {
    StepKind.READ: "Only look things up. Nothing you do here changes anything.",
    StepKind.CLASSIFY: "Decide what kind of case this is, from what you read.",
    StepKind.PLAN: "Work out what should be done. Simulate; do not carry anything out.",
    StepKind.DRAFT: "Write down the exact action you propose. You cannot carry it out here.",
    StepKind.EXECUTE: "Carry out the one write, with the approval of exactly that call.",
}
"""What each kind of step asks of an agent, in a sentence."""

EFFECT_RULES = {
    "read": "reads, changes nothing",
    "lookup": "looks up, changes nothing",
    "simulate": "simulates, changes nothing",
    "write": "changes things: needs an approval of exactly this call",
}


async def current_step(
    house: House, caller: Caller, run_id: str | None, *, with_pass: bool = False
) -> Answer | Refused:
    """Where the run is and what may be done there; with a fresh step pass for an orchestrator that asks for
    one.
    """
    standing = house.ledger.read(lambda reading: stand(house, reading, caller, run_id))
    if isinstance(standing, Denial):
        return await refuse(house, caller, None, "current_step", standing)
    review = house.ledger.read(lambda reading: find_review(reading, standing.run))
    body = describe_step(standing.run, standing.workflow, standing.step, standing.scope)
    _say_what_policy_denies(house, standing, body)
    if review is not None:
        body["waiting_for_a_human"] = list[JsonValue](review.reasons)
    if with_pass:

        def issue(tx: Transaction) -> str | None:
            run = find_run(tx, standing.run.id)
            return (
                None
                if run is None or run.epoch != standing.run.epoch
                else issue_pass(tx, run, house.pass_lifetime_ms)
            )

        issued = await house.ledger.transact(issue)
        if issued is None:
            moved = Denial("step_closed", reason="the run moved on before its pass could be issued")
            return await refuse(house, caller, standing.run.id, "current_step", moved)
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


def describe_step(run: Run, workflow: Workflow, step: Step, scope: Scope) -> JsonObject:
    """Everything that an agent needs for one step, and nothing that belongs to another."""
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
            for tool in scope.tools.values()
        ],
        "output_schema": step.output,
        "next": list[JsonValue](step.next),
    }
    if step.needs is not None:
        body["context"] = {
            "collections": list[JsonValue](step.needs.collections),
            "budget_tokens": step.needs.budget,
        }
    return body


def rules_in_words(step: Step) -> list[JsonValue]:
    """The rules of a step as short sentences, for the agent that works in it."""
    rules: list[JsonValue] = [KIND_RULES[step.kind]]
    if step.needs is not None:
        rules.append(
            "Call read_context for the evidence; quote it word for word, each quote with its provenance id."
        )
    rules.append(f"End the step with submit_step: step={step.name}, with `state` as in output_schema.")
    below = step.checkpoints.confidence_below
    if below is not None:
        rules.append(f"A confidence below {below:g} brings in a human.")
    if step.checkpoints.evidence:
        rules.append(f"Evidence that is {' or '.join(step.checkpoints.evidence)} brings in a human.")
    return rules
