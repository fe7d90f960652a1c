"""Reads, lookups and simulations: forward, keep what was said as an observation, and answer once that is on
disk (or on its way there, where the setting `records` says so).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ledger.canonical import JsonObject, digest, text_digest
from ledger.clock import system_now_ms
from ledger.entries import Entry, RestsOn
from policies.codes import Denial
from tool_scopes.executions import new_execution_id
from tool_scopes.house import Answer, House
from tool_scopes.observations import observation_of, store_observation
from tool_scopes.refusals import Refused, refuse
from tool_scopes.sealing import redacted
from tool_scopes.standing import Standing
from tool_scopes.upstream.tools import UpstreamFailure
from tool_scopes.views import ViewTool


async def answer_read(
    house: House, standing: Standing, tool: ViewTool, arguments: JsonObject, sent: JsonObject
) -> Answer | Refused:
    """Forward a call that changes nothing. Its answer leaves only after its record is made.

    `sent` is what the upstream gets; in `arguments`, which are written down, its secrets are sealed.
    """
    run, view = standing.run, tool.view
    arguments_digest = digest("bailiwick-arguments-v1", arguments)
    upstream = house.upstreams.get(view.upstream)
    try:
        if upstream is None:
            raise UpstreamFailure(f"upstream {view.upstream} is not running", sent=False)
        result = await upstream.call(view.tool, sent, house.timeout_s(tool))
    except UpstreamFailure as failure:
        denial = Denial("unavailable", reason=redacted(failure.reason, tool, sent))
        return await refuse(house, standing.caller, run.id, view.name, denial, arguments_digest)
    # The id only names this answer; the ledger's own clock dates the entry.
    execution = new_execution_id(system_now_ms())
    observation = observation_of(execution, view.name, result)
    if view.secrets:
        observation = replace(observation, text=redacted(observation.text, tool, sent))
    body: JsonObject = {
        "tool": view.name,
        "effect": view.effect,
        "execution": execution,
        "observation": observation.source,
        "arguments": arguments_digest,
        "text": text_digest(observation.text),
        "is_error": result.is_error,
    }
    entry = Entry(
        "call.answered",
        run.tenant,
        body,
        principal=run.principal,
        run=run.id,
        rests_on=(RestsOn(run.id, "was_shown", observation.source),),
    )

    await house.ledger.record(entry, store=partial(store_observation, run=run, observation=observation))
    said: JsonObject = {"execution": execution, "observation": observation.source, "result": result.as_json()}
    return Answer("done", said, is_error=result.is_error)
