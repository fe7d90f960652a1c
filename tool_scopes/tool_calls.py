"""The route of a tool call: standing, scope, arguments, decision, and then a read or a write.

The order is the design's order of judgement, and it is the same by desk, pass and URL.
"""

from __future__ import annotations

from ledger.canonical import JsonObject, digest
from ledger.transaction import Reading, Transaction
from policies.codes import Denial
from policies.gate_state import GateState, freeze_denial, read_gate
from tool_scopes.arguments import complete_arguments
from tool_scopes.asking import question_about
from tool_scopes.house import Answer, Caller, House
from tool_scopes.read_calls import answer_read
from tool_scopes.refusals import Refused, refuse
from tool_scopes.runs import count_call, find_run
from tool_scopes.sealing import seal, unseal
from tool_scopes.standing import Standing, calls_exhausted, stand
from tool_scopes.views import ViewTool
from tool_scopes.write_calls import carry_out_write


async def call_tool(
    house: House, caller: Caller, run_id: str | None, name: str, given: JsonObject, token: str | None
) -> Answer | Refused:
    """Call the tool `name` of the caller's step with `given` arguments, and with an approval `token` when it
    is a write.
    """

    def look(reading: Reading) -> tuple[Standing | Denial, GateState]:
        return stand(house, reading, caller, run_id), read_gate(reading)

    standing, gate = house.ledger.read(look)
    if isinstance(standing, Denial):
        return await refuse(house, caller, None, name, standing)
    run = standing.run
    tool = standing.scope.tools.get(name)
    if tool is None:
        unknown = Denial("unknown_tool", reason=f"{name[:128]} is not in the scope of step {run.step}")
        return await refuse(house, caller, run.id, name, unknown)
    if tool.view.secrets:
        given = house.ledger.read(lambda reading: unseal(reading, house.ring, run, tool, given))
    sent = complete_arguments(tool, given, run.state)
    if isinstance(sent, Denial):
        return await refuse(house, caller, run.id, name, sent)
    busy = house.tool_limits.begin(tool.view)
    if busy is not None:
        return await refuse(house, caller, run.id, name, busy)
    try:
        return await _call(house, standing, gate, tool, token, sent)
    finally:
        house.tool_limits.end(tool.view)


async def _call(
    house: House, standing: Standing, gate: GateState, tool: ViewTool, token: str | None, sent: JsonObject
) -> Answer | Refused:
    """The rest of the route, for a call whose arguments are those of the tool."""
    run, caller, name = standing.run, standing.caller, tool.view.name
    # What is judged and written down; it differs from what is sent only where there is a secret.
    arguments: JsonObject | Denial = sent
    if tool.view.secrets:
        arguments = await house.ledger.transact(lambda tx: seal(tx, house.ring, run, tool, sent))
    if isinstance(arguments, Denial):
        return await refuse(house, caller, run.id, name, arguments)
    denial = _denied(house, standing, tool, gate) or await _counted(house, standing, tool)
    if denial is not None:
        return await refuse(house, caller, run.id, name, denial, digest("bailiwick-arguments-v1", arguments))
    if tool.view.effect == "write":
        return await carry_out_write(house, standing, tool, arguments, token, sent)
    return await answer_read(house, standing, tool, arguments, sent)


async def _counted(house: House, standing: Standing, tool: ViewTool) -> Denial | None:
    """Count a read of a step that limits its calls, before it is sent: so however many come at once, no more
    are sent. Writes are counted where they are redeemed.
    """
    if standing.step.limits.calls is None or tool.view.effect == "write":
        return None

    def count(tx: Transaction) -> Denial | None:
        run = find_run(tx, standing.run.id)
        if run is None or run.epoch != standing.run.epoch:
            return Denial("step_closed", reason="the run moved on while the call was on its way")
        denial = calls_exhausted(standing, run)
        if denial is None:
            count_call(tx, run)
        return denial

    return await house.ledger.transact(count)


def _denied(house: House, standing: Standing, tool: ViewTool, gate: GateState) -> Denial | None:
    """What stops this call before any approval is looked at."""
    run, view = standing.run, tool.view
    frozen = freeze_denial(gate, run.principal, view.name)
    if frozen is not None:
        return frozen
    if view.effect == "write" and run.status == "waiting":
        return Denial("checkpoint_open", reason=f"run {run.id} waits at step {run.step} for a human")
    decision = house.policies.decide(question_about(standing, tool))
    if not decision.allowed:
        return Denial("policy_denied", reason=decision.reason)
    # A write's approval is looked at first: whoever asks about one that is spent gets its answer.
    return None if view.effect == "write" else house.outdated(gate)
