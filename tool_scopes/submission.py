"""Submitting a step: the envelope is checked, checkpoints are asked, and the run moves on; in one ledger
transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from anyio import to_thread

from context_store.head import head_release
from ledger.canonical import JsonObject, JsonValue
from ledger.entries import Entry
from ledger.transaction import Reading, Transaction
from policies.codes import Denial
from policies.decisions import submit_step as may_submit_step
from policies.gate_state import freeze_denial, read_gate
from tool_scopes.arguments import complete_arguments, target_of
from tool_scopes.checkpoints import halt, most_retries, repeated, retries_exhausted
from tool_scopes.envelope_records import has_submitted, keep_envelope
from tool_scopes.envelopes import (
    CheckedEnvelope,
    Envelope,
    ProposedAction,
    check_quotes,
    parse_envelope,
    refused,
)
from tool_scopes.facts import NO_FACTS, Facts, read_facts
from tool_scopes.house import Answer, Caller, House
from tool_scopes.leaving import (
    changes_what_opened_it,
    codes_since_entry,
    facts_of_step,
    lead_away,
    rule_of_the_admins,
)
from tool_scopes.presenting import approval_detail, ask_for_approval, present
from tool_scopes.quotes import QuoteFinder
from tool_scopes.refusals import Refused, refusal_entry, refuse
from tool_scopes.retries import count_retry_about
from tool_scopes.reviews import open_review
from tool_scopes.runs import Run, at_rest_denial, count_retry, enter_step, find_run, set_status
from tool_scopes.sealing import seal, unseal
from tool_scopes.standing import Standing, stand
from tool_scopes.steps import describe_step
from tool_scopes.views import ViewTool
from tool_scopes.workflows import Step, StepKind, Workflow


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposed action that fits a tool of a following execute step. `arguments` are complete, and hold
    every secret in plain: they are sealed before they are written down.
    """

    step: str
    tool: ViewTool
    action: ProposedAction
    arguments: JsonObject
    target: str


async def submit_step(
    house: House, caller: Caller, run_id: str | None, given: JsonObject, successor: str | None = None
) -> Answer | Refused:
    """End the current step with an envelope. A refused envelope names the item that is wrong, and counts as a
    retry.
    """
    standing = house.ledger.read(lambda reading: stand(house, reading, caller, run_id))
    if isinstance(standing, Denial):
        return await refuse(house, caller, None, "submit_step", standing)
    run = standing.run
    frozen = freeze_denial(house.ledger.read(read_gate), run.principal)
    if frozen is not None:
        return await refuse(house, caller, run.id, "submit_step", frozen)
    if run.status != "open":
        waits = Denial("checkpoint_open", reason=f"run {run.id} waits at step {run.step} for a human")
        return await refuse(house, caller, run.id, "submit_step", waits)
    decision = house.policies.decide(
        may_submit_step(caller.agent, run.id, run.tenant, run_owner=run.principal)
    )
    if not decision.allowed:
        return await refuse(
            house, caller, run.id, "submit_step", Denial("policy_denied", reason=decision.reason)
        )
    finder = QuoteFinder(house, standing)
    await house.ledger.settled()  # what was just answered can be quoted
    checked = await to_thread.run_sync(_check, house, standing, given, successor, finder.find)
    if isinstance(checked, Denial) and checked.code == "step_closed":
        return await refuse(house, caller, run.id, "submit_step", checked)
    if isinstance(checked, Denial):
        return await house.ledger.transact(partial(_count_refusal, standing, checked))
    refused_here = await to_thread.run_sync(_refused_here, house, run) if checked.failed else frozenset[str]()
    facts = await _facts_of_proposal(house, standing, checked.envelope)
    return await house.ledger.transact(
        partial(_move, house, standing, checked, successor, facts, refused_here)
    )


def _refused_here(house: House, run: Run) -> frozenset[str]:
    """The codes that calls of the current step were refused with."""
    return codes_since_entry(house.ledger.entries(run=run.id, kinds=("step.entered", "call.refused")))


async def _facts_of_proposal(house: House, standing: Standing, envelope: Envelope) -> Facts:
    """What is read about the target of a proposed action, before the transaction that asks for approval."""
    state = _state_after(standing.run, standing.step, envelope)

    def look(reading: Reading) -> Proposal | Denial | None:
        # While everything is frozen nothing is read either; the step's own call asks then.
        return None if read_gate(reading).frozen else proposal_of(house, reading, standing, envelope, state)

    proposal = house.ledger.read(look)
    if not isinstance(proposal, Proposal):
        return NO_FACTS
    return await read_facts(house, proposal.tool, proposal.arguments, state)


def _state_after(run: Run, step: Step, envelope: Envelope) -> JsonObject:
    """The run's state with what the step carries on."""
    return {**run.state, **{key: envelope.state[key] for key in step.carry if key in envelope.state}}


def _check(
    house: House,
    standing: Standing,
    given: JsonObject,
    successor: str | None,
    find: Callable[[str, str], str | None],
) -> CheckedEnvelope | Denial:
    """Everything about the envelope that needs no transaction."""
    step = standing.step
    envelope = parse_envelope(given)
    if isinstance(envelope, Denial):
        return envelope
    if envelope.step != step.name:
        if house.ledger.read(lambda reading: has_submitted(reading, standing.run, envelope.step)):
            # Sent again, most likely because the answer was lost: no retry of the step that follows.
            return Denial(
                "step_closed", reason=f"step {envelope.step} was submitted, the run is at {step.name}"
            )
        return refused("step", f"the run is at step {step.name}")
    wrong = next(iter(step.output_validator.iter_errors(envelope.state)), None)
    if wrong is not None:
        where = ".".join(["state", *(str(part) for part in wrong.instance_path)])
        return refused(where, wrong.message[:300])
    moved = changes_what_opened_it(standing, envelope)
    if moved is not None:
        return refused(f"state.{moved}", "the run was opened with another and keeps it")
    if successor is not None and successor not in step.next:
        return refused("next", f"step {step.name} goes on to {', '.join(step.next) or 'nothing'}")
    return check_quotes(envelope, find)


def _count_refusal(standing: Standing, denial: Denial, tx: Transaction) -> Refused:
    run = find_run(tx, standing.run.id)
    if run is None or run.epoch != standing.run.epoch or run.status != "open":
        moved = Denial("step_closed", reason="the run moved on while the envelope was on its way")
        tx.append(refusal_entry(standing.caller, standing.run.id, "submit_step", moved))
        return Refused(moved)
    item: JsonObject = {"step": run.step, "epoch": run.epoch, "retry": run.retries + 1, **denial.detail}
    tx.append(Entry("envelope.refused", run.tenant, item, principal=run.principal, run=run.id))
    about = count_retry_about(tx, standing.workflow, run)
    run = count_retry(tx, run)
    if about >= most_retries(standing.step):
        open_review(tx, run, [repeated(about)])
    elif retries_exhausted(standing.step, run.retries):
        why = f"{run.retries} envelopes of step {run.step} were refused"
        lead_away(tx, run, standing.workflow, "retries_exhausted", why)
    return Refused(denial)


def _move(
    house: House,
    standing: Standing,
    checked: CheckedEnvelope,
    successor: str | None,
    facts: Facts,
    refused_here: frozenset[str],
    tx: Transaction,
) -> Answer | Refused:
    """Record the envelope and move the run: on, to a human, or to its end."""

    def refuse_here(denial: Denial) -> Refused:
        tx.append(refusal_entry(standing.caller, standing.run.id, "submit_step", denial))
        return Refused(denial)

    run = find_run(tx, standing.run.id)
    if run is None or run.epoch != standing.run.epoch:
        return refuse_here(Denial("step_closed", reason="the run moved on while the envelope was on its way"))
    resting = at_rest_denial(run, tx.now_ms)
    if resting is not None:
        return refuse_here(resting)
    step, envelope = standing.step, checked.envelope
    state = _state_after(run, step, envelope)
    proposal = proposal_of(house, tx, standing, envelope, state)
    if isinstance(proposal, Denial):
        return _count_refusal(standing, proposal, tx)
    sealed = checked if proposal is None else _sealed(house, tx, run, checked, proposal)
    if isinstance(sealed, Denial):
        return refuse_here(sealed)
    keep_envelope(tx, run, sealed)
    known = facts_of_step(
        tx,
        standing,
        run,
        envelope,
        refused_here,
        sensitive=proposal is not None and proposal.tool.view.sensitive,
    )
    stop = halt(step, envelope, known)
    tool, target = ("", "") if proposal is None else (proposal.tool.name, proposal.target)
    rule = rule_of_the_admins(house, standing, run, envelope, known, tool, target)
    reasons = stop.reasons if rule is None else (*stop.reasons, rule)
    if reasons:
        waiting = open_review(tx, run, reasons, successor)
        return Answer(
            "done", {"run": run.id, "status": waiting.status, "waiting_for_a_human": list[JsonValue](reasons)}
        )
    if stop.away is not None:
        trouble, why = stop.away
        run = lead_away(tx, run, standing.workflow, trouble, why, state)
        return Answer("done", {"because": why, **where_it_is(house, run, standing.workflow)})
    if envelope.status == "failed":
        run = set_status(tx, run, "failed", because=envelope.reason)
        return Answer("done", {"run": run.id, "status": run.status})
    return go_on(house, standing, tx, run, state, successor, proposal, envelope.reason, facts)


def _sealed(
    house: House, tx: Transaction, run: Run, checked: CheckedEnvelope, proposal: Proposal
) -> CheckedEnvelope | Denial:
    """The envelope as it is kept: with a commitment in the place of each secret of its proposed action."""
    if not proposal.tool.view.secrets:
        return checked
    judged = seal(tx, house.ring, run, proposal.tool, proposal.arguments)
    if isinstance(judged, Denial):
        return judged
    hidden = {name: judged[name] for name in proposal.tool.view.secrets & proposal.action.arguments.keys()}
    arguments = {**proposal.action.arguments, **hidden}
    action = proposal.action.model_copy(update={"arguments": arguments})
    return replace(checked, envelope=checked.envelope.model_copy(update={"proposed_action": action}))


def go_on(
    house: House,
    standing: Standing,
    tx: Transaction,
    run: Run,
    state: JsonObject,
    successor: str | None,
    proposal: Proposal | None,
    reason: str,
    facts: Facts,
) -> Answer | Refused:
    """Enter the next step, or end the run. A proposed action becomes an approval request of the step that may
    carry it out; where it cannot be one yet, the step's own call asks for it.
    """
    step = standing.step
    chosen = successor or (proposal.step if proposal else None) or (step.next[0] if step.next else None)
    if chosen is None:
        ended = set_status(tx, run, "done", because="the last step was submitted")
        return Answer("done", {"run": run.id, "status": ended.status})
    following = standing.workflow.steps[chosen]
    moved = enter_step(
        tx,
        run,
        following,
        state=state,
        release=head_release(tx, run.tenant),
        because=f"{step.name} was submitted",
    )
    body = where_it_is(house, moved, standing.workflow)
    if proposal is not None and proposal.step == chosen and facts.covers(proposal.tool):
        arguments = seal(tx, house.ring, moved, proposal.tool, proposal.arguments)
        if isinstance(arguments, Denial):
            return Answer("done", body)
        presented = present(house, tx, moved, standing.workflow, proposal.tool, arguments, facts)
        asked = ask_for_approval(
            house, tx, moved, standing.workflow, following, proposal.tool, presented, reason
        )
        if not isinstance(asked, Denial):
            body["approval"] = approval_detail(house, asked)
    return Answer("done", body)


def where_it_is(house: House, run: Run, workflow: Workflow) -> JsonObject:
    """What an agent is told of a run that has just moved."""
    return {"run": run.id, "status": run.status, "current_step": describe_step(house, run, workflow)}


def proposal_of(
    house: House, reading: Reading, standing: Standing, envelope: Envelope, state: JsonObject
) -> Proposal | Denial | None:
    """The proposed action against the execute steps that follow; None when nothing is proposed."""
    action = envelope.proposed_action
    if action is None:
        return None
    for name in standing.step.next:
        following = standing.workflow.steps[name]
        if following.kind is not StepKind.EXECUTE:
            continue
        tool = house.scopes.scope(standing.workflow, following).tools.get(action.type)
        if tool is None:
            continue
        given = unseal(reading, house.ring, standing.run, tool, action.arguments)
        arguments = complete_arguments(tool, given, state)
        if isinstance(arguments, Denial):
            return refused("proposed_action.arguments", arguments.reason)
        target = target_of(tool.view, arguments)
        if action.target_id is not None and action.target_id != target:
            return refused("proposed_action.target_id", f"this call acts on {target}")
        return Proposal(name, tool, action, arguments, target)
    return refused(
        "proposed_action.type", f"no execute step after {standing.step.name} has the tool {action.type}"
    )
