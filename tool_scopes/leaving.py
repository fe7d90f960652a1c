"""Leaving a step: what the ledger knows of it, whether the admin's own rules let it go on unseen, and where
trouble leads.
"""

from __future__ import annotations

from collections.abc import Iterable

from context_store.head import head_release
from context_store.shown import showings, tokens_of
from ledger.canonical import JsonObject, canonical
from ledger.entries import StoredEntry
from ledger.transaction import Reading, Transaction
from policies.approvals import list_requests
from policies.decisions import leave_step
from policies.explaining import words_for_agent
from tool_scopes.checkpoints import StepFacts
from tool_scopes.envelopes import Envelope
from tool_scopes.executions import has_succeeded_in_step
from tool_scopes.house import House
from tool_scopes.retries import retries_about
from tool_scopes.reviews import open_review
from tool_scopes.runs import Run, enter_step
from tool_scopes.standing import Standing
from tool_scopes.workflow_model import HUMAN, Trouble
from tool_scopes.workflows import Workflow


def facts_of_step(
    reading: Reading,
    standing: Standing,
    run: Run,
    envelope: Envelope,
    refused: Iterable[str],
    *,
    sensitive: bool,
) -> StepFacts:
    """What stands in the ledger about the step that `envelope` is to end; `refused` are the codes that its
    calls were refused with.
    """
    shown = showings(reading, run.id, since=run.entered_epoch)
    codes = frozenset(refused) if envelope.status == "failed" else frozenset[str]()
    denied = _denied_by_a_human(reading, run)
    if denied is None and "policy_denied" in codes:
        denied = "policy denied what the step needed"
    return StepFacts(
        shown=frozenset(bundle.sufficiency for bundle in shown),
        bundle_tokens=tokens_of(reading, shown),
        sensitive=sensitive,
        retries=retries_about(reading, standing.workflow, run),
        denied=denied,
        unavailable="what the step needed was unavailable" if "unavailable" in codes else None,
    )


def changes_what_opened_it(standing: Standing, envelope: Envelope) -> str | None:
    """The first key of the input, required there, that the step would carry on with another value: tools are
    bound to it, so a run that was opened for one order stays with it.
    """
    required = standing.workflow.input.get("required")
    for key in standing.step.carry:
        if not isinstance(required, list) or key not in required or key not in envelope.state:
            continue
        if canonical(envelope.state[key]) != canonical(standing.run.state[key]):
            return key
    return None


def codes_since_entry(entries: Iterable[StoredEntry]) -> frozenset[str]:
    """The codes of the refusals in the current step, of a run's entries `step.entered` and `call.refused`."""
    codes: set[str] = set()
    for entry in entries:
        if entry.kind == "step.entered":
            codes.clear()
        else:
            codes.add(str(entry.body["code"]))
    return frozenset(codes)


def _denied_by_a_human(reading: Reading, run: Run) -> str | None:
    """That a write of this step was denied, unless one was carried out after all. Whatever the agent says."""
    denied = [
        request.id
        for request in list_requests(reading, run=run.id, states=("denied",))
        if request.call.step == run.step and request.call.epoch >= run.entered_epoch
    ]
    if not denied or has_succeeded_in_step(reading, run):
        return None
    return f"a human denied the write of this step ({', '.join(denied)})"


def rule_of_the_admins(
    house: House, standing: Standing, run: Run, envelope: Envelope, facts: StepFacts, tool: str, target: str
) -> str | None:
    """Why the policies ask for a human before the run leaves this step; None when they let it go."""
    decision = house.policies.decide(
        leave_step(
            standing.caller.agent,
            run.id,
            run.tenant,
            workflow=run.workflow,
            step=run.step,
            step_kind=standing.step.kind.value,
            status=envelope.status,
            confidence=int(envelope.confidence * 100 + 1e-6),  # never more than was said
            evidence=tuple(sorted(facts.shown)),
            bundle_tokens=facts.bundle_tokens,
            retries=facts.retries,
            tool=tool,
            target=target,
            sensitive=facts.sensitive,
        )
    )
    if decision.allowed:
        return None
    return f"policy asks for a human: {words_for_agent(house.policies.now, decision)}"


def lead_away(
    tx: Transaction, run: Run, workflow: Workflow, trouble: Trouble, why: str, state: JsonObject | None = None
) -> Run:
    """Follow what the step says `on` this trouble: to another step, or to a human."""
    target = workflow.steps[run.step].on.of(trouble)
    if target == HUMAN:
        return open_review(tx, run, [why])
    return enter_step(
        tx,
        run,
        workflow.steps[target],
        state=run.state if state is None else state,
        release=head_release(tx, run.tenant),
        because=f"{trouble} in {run.step}: {why}",
    )
