"""The call as it is presented to the gate: what the caller sent, completed with the facts of this moment.

One place builds it, so that a proposed action, a refused write and a redemption speak of the same thing.
"""

from __future__ import annotations

from dataclasses import replace

from context_store.shown import showings
from ledger.canonical import JsonObject, JsonValue
from ledger.clock import rfc3339
from ledger.transaction import Reading, Transaction
from policies.approvals import ApprovalRequest, request_approval
from policies.call import CanonicalCall, PresentedCall, Quorum
from policies.codes import Denial
from policies.tokens import token_under
from tool_scopes.arguments import target_of
from tool_scopes.envelope_records import envelope_digests
from tool_scopes.facts import NO_FACTS, Facts
from tool_scopes.house import House
from tool_scopes.rereading import changed_versions, in_evidence, reread_versions
from tool_scopes.runs import Run
from tool_scopes.views import ViewTool
from tool_scopes.workflows import Step, Workflow


def present(
    house: House,
    reading: Reading,
    run: Run,
    workflow: Workflow,
    tool: ViewTool,
    arguments: JsonObject,
    facts: Facts = NO_FACTS,
) -> PresentedCall:
    """The call of `tool` with complete, canonical `arguments` in the run's current step.

    `evidence` holds the digests of what the run was shown and of what it
    concluded: its bundles, and its envelopes with their exact quotes.
    """
    return PresentedCall(
        upstream=tool.view.upstream,
        endpoint=house.upstreams[tool.view.upstream].endpoint,
        tool=tool.view.tool,
        fingerprint=tool.view.fingerprint or "",
        arguments=arguments,
        target=target_of(tool.view, arguments),
        precondition=facts.precondition,
        tenant=run.tenant,
        principal=run.principal,
        run=run.id,
        step=run.step,
        epoch=run.epoch,
        evidence=(*(shown.digest for shown in showings(reading, run.id)), *envelope_digests(reading, run.id)),
        policy=house.policies.digest,
        catalogue=house.catalogue.digest,
        workflow=workflow.digest,
    )


def ask_for_approval(
    house: House,
    tx: Transaction,
    run: Run,
    workflow: Workflow,
    step: Step,
    tool: ViewTool,
    presented: PresentedCall,
    reason: str,
) -> ApprovalRequest | Denial:
    """A request that humans judge out of band, or the open one for the identical call.

    `reason` is the agent's own word, shown to reviewers as such: they judge the arguments.
    """
    call = call_to_ask_for(reading=tx, run=run, step=step, tool=tool, presented=presented, now_ms=tx.now_ms)
    if isinstance(call, Denial):
        return call
    summary: JsonObject = {
        "secrets": list[JsonValue](sorted(tool.view.secrets & presented.arguments.keys())),
        "workflow": workflow.name,
        "version": workflow.version,
        "step": step.name,
        "purpose": step.purpose,
        "tool": tool.view.name,
        "reason": reason,
    }
    return request_approval(tx, call, house.ring.secret("approval-token"), summary)


def call_to_ask_for(
    *, reading: Reading, run: Run, step: Step, tool: ViewTool, presented: PresentedCall, now_ms: int
) -> CanonicalCall | Denial:
    """The call that people would judge, from `now_ms` on; a denial when the run has not read all anew."""
    # What the run was shown and has changed since must have been read anew, and is named to whoever signs.
    changed = changed_versions(reading, run, now_ms)
    known = reread_versions(reading, run) if changed else frozenset[str]()
    unread = [version for version in changed if version not in known]
    if unread:
        return Denial(
            "evidence_changed", reason=f"not read anew since these changed: {', '.join(unread[:5])}"
        )
    if changed:
        told = in_evidence(frozenset(changed))
        presented = replace(presented, evidence=(*presented.evidence, *told))
    return presented.under(
        quorum=quorum_of(tool, step),
        not_before=now_ms,
        expires=now_ms + step.limits.approval_minutes * 60_000,
    )


def quorum_of(tool: ViewTool, step: Step) -> Quorum:
    """Who must approve: as the catalogue says of the view; a step may ask for more people and never for
    fewer.
    """
    asked = tool.view.approval
    return Quorum(max(asked.needed, step.limits.approvals), asked.role, asked.four_eyes)


def approval_required(house: House, request: ApprovalRequest, *, came: bool = False) -> Denial:
    """The refusal that tells an agent which approval its call needs, with the token that it will carry once
    approved. `came`: something came in the place of a token. The agent reads the same; the ledger says so.
    """
    what = "what came is no approval of this run" if came else "no approval came with the call"
    return Denial(
        "approval_required",
        reason=f"{what}; request {request.id} is {request.state}",
        detail={"approval": approval_detail(house, request)},
    )


def approval_detail(house: House, request: ApprovalRequest) -> JsonObject:
    """What the requesting agent may know of a request. The token is derived again, so a client that lost it
    can ask.
    """
    return {
        "request": request.id,
        "approval_token": _token(house, request),
        "state": request.state,
        "expires": rfc3339(request.expires_ms),
    }


def _token(house: House, request: ApprovalRequest) -> str | None:
    """The token, under whichever secret it was made; None for an old request whose secret is retired."""
    try:
        return token_under(house.ring.secrets("approval-token"), request.id, request.token_digest)
    except LookupError:
        return None
