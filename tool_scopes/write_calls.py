"""Writes: nothing leaves without a redeemed approval of this very call, and then exactly one frame leaves.

Redemption and `execution.begun` are one ledger transaction that reads every fact again. From there on the
client's connection no longer matters: the effect and its outcome are whole also when nobody waits for them.
"""

from __future__ import annotations

import logging
from functools import partial

import anyio

from ledger.canonical import JsonObject, digest
from ledger.clock import system_now_ms
from ledger.errors import LedgerError, LedgerUnavailable
from ledger.transaction import Reading, Transaction
from policies.approvals import find_by_token, open_request, redeem
from policies.call import PresentedCall
from policies.codes import Denial
from policies.gate_state import GateState, freeze_denial, read_gate
from tool_scopes.executions import (
    Execution,
    Outcome,
    begin_execution,
    count_in_step,
    new_execution_id,
    outcome_of,
    settle_execution,
    unfinished_on,
)
from tool_scopes.facts import Facts, read_facts
from tool_scopes.house import Answer, HeadWitness, House
from tool_scopes.presenting import approval_required, ask_for_approval, call_to_ask_for, present
from tool_scopes.refusals import Refused, refusal_entry, refuse
from tool_scopes.rereading import changed_versions
from tool_scopes.runs import Run, at_rest_denial, count_call, find_run
from tool_scopes.sealing import redacted
from tool_scopes.standing import Standing, calls_exhausted
from tool_scopes.upstream.tools import UpstreamFailure, UpstreamResult
from tool_scopes.views import ViewTool

logger = logging.getLogger(__name__)

LEASE_MARGIN_MS = 30_000
"""How long after an upstream's time limit its outcome may still be recorded before the execution counts as in
doubt.
"""

UNSPENT = frozenset({"pending", "approved"})
"""The states of a request whose call has not been made yet."""

SETTLE_PAUSES_S = (0.05, 0.2, 1.0, 5.0)
"""The waits between attempts to record an outcome. After the last one the lease tells the truth: in doubt."""


async def carry_out_write(
    house: House,
    standing: Standing,
    tool: ViewTool,
    arguments: JsonObject,
    token: str | None,
    sent: JsonObject,
) -> Answer | Refused:
    """Redeem the approval that `token` names and send the call, or say which approval it needs.

    `sent` is what the upstream gets; in `arguments`, which are judged, its secrets are sealed.
    """
    facts = await read_facts(house, tool, sent, standing.run.state)
    if token is None and house.ledger.defers:
        # Nothing can be spent, and what was asked for is not asked for again: a snapshot knows this answer,
        # and its record need not be waited for.
        look = partial(_refused_already, house, standing, tool, arguments, facts, system_now_ms())
        known = house.ledger.read(look)
        if known is not None:
            return await refuse(
                house, standing.caller, standing.run.id, tool.view.name, known, _named(arguments)
            )
    # Shielded from the client's disconnect: a redeemed approval is never left without its effect and outcome.
    with anyio.CancelScope(shield=True):
        if house.witness is not None:
            await house.witness.may_begin()
        begun = await house.ledger.transact(partial(_begin, house, standing, tool, arguments, facts, token))
        if isinstance(begun, Denial):
            return Refused(begun)
        unseen = None if house.witness is None else await _unwitnessed(house, house.witness, begun)
        return unseen or await _carry_out(house, tool, sent, begun)
    raise AssertionError("a shielded scope is not cancelled")


async def _unwitnessed(house: House, witness: HeadWitness, begun: Execution) -> Refused | None:
    """Why this execution must not be carried out: its head is known to nobody else. It then failed for
    certain.
    """
    try:
        await witness.follow()
    except LedgerError as error:
        reason = f"nothing was sent, because the log is not witnessed: {error}"
        await _record_outcome(house, begun, "failed", reason)
        return Refused(Denial("unavailable", reason, {"execution": begun.id, "status": "failed"}))
    return None


async def _carry_out(house: House, tool: ViewTool, sent: JsonObject, begun: Execution) -> Answer:
    """One frame, and its outcome."""
    answer: UpstreamResult | UpstreamFailure
    try:
        upstream = house.upstreams[tool.view.upstream]
        answer = await upstream.call(tool.view.tool, sent, house.timeout_s(tool))
    except UpstreamFailure as failure:
        answer = failure
    outcome, because = outcome_of(answer, tool.view)
    await _record_outcome(house, begun, outcome, redacted(because, tool, sent))
    body: JsonObject = {"execution": begun.id, "status": outcome}
    if isinstance(answer, UpstreamResult):
        body["result"] = answer.as_json()
    return Answer("done" if outcome == "succeeded" else outcome, body, is_error=outcome != "succeeded")


def _begin(
    house: House,
    standing: Standing,
    tool: ViewTool,
    arguments: JsonObject,
    facts: Facts,
    token: str | None,
    tx: Transaction,
) -> Execution | Denial:
    """One ledger transaction: every fact is read again, the approval is redeemed and the execution begun, or
    it is refused.
    """
    judged = _judge(house, standing, tool, arguments, facts, token, tx)
    if isinstance(judged, Denial):
        entry = refusal_entry(standing.caller, standing.run.id, tool.view.name, judged, _named(arguments))
        tx.append(entry)
    return judged


def _named(arguments: JsonObject) -> str:
    """The digest that stands for the arguments in a record of their refusal."""
    return digest("bailiwick-arguments-v1", arguments)


def _refused_already(
    house: House,
    standing: Standing,
    tool: ViewTool,
    arguments: JsonObject,
    facts: Facts,
    now_ms: int,
    reading: Reading,
) -> Denial | None:
    """The refusal of a call without a token that needs no transaction: barred, or its request is open."""
    gate = read_gate(reading)
    run = _its_run(standing, tool, gate, reading, now_ms)
    if isinstance(run, Denial):
        return run
    barred = _no_more_executions(standing, run, reading) or house.outdated(gate)
    if barred is not None or facts.trouble is not None:
        return barred
    presented = present(house, reading, run, standing.workflow, tool, arguments, facts)
    call = call_to_ask_for(
        reading=reading, run=run, step=standing.step, tool=tool, presented=presented, now_ms=now_ms
    )
    if isinstance(call, Denial):
        return call
    asked = open_request(reading, call, now_ms)
    return None if asked is None else approval_required(house, asked)


def _its_run(
    standing: Standing, tool: ViewTool, gate: GateState, reading: Reading, now_ms: int
) -> Run | Denial:
    """The run as it is now, if nothing about it or the gate bars the call."""
    run = find_run(reading, standing.run.id)
    if run is None or run.epoch != standing.run.epoch:
        return Denial("step_closed", reason="the run moved on while the call was on its way")
    return freeze_denial(gate, run.principal, tool.view.name) or at_rest_denial(run, now_ms) or run


def _no_more_executions(standing: Standing, run: Run, reading: Reading) -> Denial | None:
    if count_in_step(reading, run) >= standing.step.limits.executions:
        return Denial("policy_denied", reason=f"step {run.step} has had all of its executions")
    return calls_exhausted(standing, run)


def _judge(
    house: House,
    standing: Standing,
    tool: ViewTool,
    arguments: JsonObject,
    facts: Facts,
    token: str | None,
    tx: Transaction,
) -> Execution | Denial:
    gate = read_gate(tx)
    run = _its_run(standing, tool, gate, tx, tx.now_ms)
    if isinstance(run, Denial):
        return run
    presented = present(house, tx, run, standing.workflow, tool, arguments, facts)
    # What is no token, or another's, is as if absent: it leads to the same answer as none.
    request = find_by_token(tx, token) if token is not None else None
    if request is not None and (request.tenant, request.principal, request.run) != (
        run.tenant,
        run.principal,
        run.id,
    ):
        request = None
    if request is None or request.state in UNSPENT:
        exhausted = _no_more_executions(standing, run, tx)
        if exhausted is not None:
            return exhausted
    if request is None:
        came = token is not None
        return house.outdated(gate) or _ask(house, standing, tool, facts, run, presented, tx, came=came)
    trouble = facts.trouble or house.upstreams[tool.view.upstream].failure
    if trouble is not None and request.state == "approved":
        # Nothing would be sent, so nothing is spent. Whoever asks about an approval that is, gets its answer.
        return Denial("unavailable", reason=trouble)
    execution_id = new_execution_id(tx.now_ms)
    busy = unfinished_on(tx, run.tenant, tool.view.upstream, presented.target)
    denial = redeem(
        tx,
        request,
        presented,
        execution=execution_id,
        changed=changed_versions(tx, run, tx.now_ms),
        busy=None if busy is None else busy.id,
    )
    if denial is not None:
        return denial
    if standing.step.limits.calls is not None:
        count_call(tx, run)
    return begin_execution(
        tx,
        run,
        execution_id=execution_id,
        request=request.id,
        upstream=tool.view.upstream,
        tool=tool.view.name,
        target=presented.target,
        instance=house.instance,
        lease_ms=int(house.timeout_s(tool) * 1000) + LEASE_MARGIN_MS,
    )


def _ask(
    house: House,
    standing: Standing,
    tool: ViewTool,
    facts: Facts,
    run: Run,
    presented: PresentedCall,
    tx: Transaction,
    *,
    came: bool,
) -> Denial:
    """The refusal that names the approval which this call needs, or says why none can be asked for."""
    if facts.trouble is not None:
        return Denial("unavailable", reason=facts.trouble)
    asked = ask_for_approval(house, tx, run, standing.workflow, standing.step, tool, presented, reason="")
    return asked if isinstance(asked, Denial) else approval_required(house, asked, came=came)


async def _record_outcome(house: House, execution: Execution, outcome: Outcome, because: str) -> None:
    """Append the outcome, again and again if need be: it never flips the answer that the upstream already
    gave.
    """
    for pause_s in (*SETTLE_PAUSES_S, None):
        try:
            await house.ledger.transact(lambda tx: settle_execution(tx, execution.id, outcome, because))
            return
        except LedgerUnavailable:
            if pause_s is None:
                logger.error(
                    "the outcome of %s could not be recorded; its lease will put it in doubt", execution.id
                )
                return
            await anyio.sleep(pause_s)
