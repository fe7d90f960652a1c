"""Evidence for a step: the bundle it is shown, and what a provenance id resolves to.

Whatever a run is shown is recorded before it leaves. What the grant does not cover is as if absent.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from anyio import to_thread

from context_store.bundles import Bundle, build_bundle, record_bundle
from context_store.provenance import OBSERVATION_PREFIX, ProvenanceId
from context_store.quotes import Resolved, resolve
from context_store.search import NeedRefused
from ledger.canonical import JsonObject, JsonValue
from ledger.clock import system_now_ms
from ledger.entries import Entry, RestsOn
from ledger.transaction import Reading, Transaction
from policies.codes import Denial
from policies.decisions import read_evidence
from policies.gate_state import freeze_denial, read_gate
from tool_scopes.grants import grant_of_step
from tool_scopes.house import Answer, Caller, House
from tool_scopes.observations import find_observation
from tool_scopes.refusals import Refused, refuse
from tool_scopes.rereading import changed_versions, note_rereading, on_newest_release
from tool_scopes.runs import find_run
from tool_scopes.standing import Standing, stand
from tool_scopes.workflow_model import StepContext
from tool_scopes.workflows import fill_need


async def read_context(
    house: House, caller: Caller, run_id: str | None, need: str | None
) -> Answer | Refused:
    """The evidence bundle of the current step, for its own need or for a narrower one of the agent's."""

    def look(reading: Reading) -> tuple[Standing | Denial, tuple[str, ...]]:
        standing = stand(house, reading, caller, run_id)
        nothing = isinstance(standing, Denial)
        return standing, () if nothing else changed_versions(reading, standing.run, system_now_ms())

    standing, changed = house.ledger.read(look)
    if isinstance(standing, Denial):
        return await refuse(house, caller, None, "read_context", standing)
    needs = standing.step.needs
    denial = _denied(house, standing)
    if needs is None or denial is not None:
        nothing = Denial("policy_denied", reason=f"step {standing.step.name} reads no context")
        return await refuse(house, caller, standing.run.id, "read_context", denial or nothing)
    if changed:
        standing = await house.ledger.transact(partial(_on_newest_release, standing))
    if isinstance(standing, Denial):
        return await refuse(house, caller, None, "read_context", standing)
    wording = need or fill_need(needs.need, standing.run.state)
    try:
        # A search takes milliseconds, so it runs beside the event loop and not in it.
        bundle = await to_thread.run_sync(_assemble, house, standing, needs, wording)
    except NeedRefused as error:
        wrong = Denial("invalid_arguments", reason=str(error), detail={"why": str(error)})
        return await refuse(house, caller, standing.run.id, "read_context", wrong)

    def record(tx: Transaction) -> None:
        record_bundle(tx, bundle, grant_of_step(house, standing))
        if changed and need is None:
            note_rereading(tx, standing.run, bundle.id, changed)

    await house.ledger.transact(record)
    return Answer("done", {"bundle": bundle.id, **bundle.as_json()})


async def cite(house: House, caller: Caller, run_id: str | None, source: str) -> Answer | Refused:
    """What a provenance id stands for now: the exact quote, and whether it is still in force."""
    standing = house.ledger.read(lambda reading: stand(house, reading, caller, run_id))
    if isinstance(standing, Denial):
        return await refuse(house, caller, None, "cite", standing)
    denial = _denied(house, standing)
    await house.ledger.settled()  # what was just answered can be cited
    found = None if denial else await to_thread.run_sync(_resolved, house, standing, source)
    if found is None:
        absent = Denial("unknown_tool", reason=f"{source[:200]} names nothing that this run may read")
        return await refuse(house, caller, standing.run.id, "cite", denial or absent)
    run = standing.run
    shown = (RestsOn(run.id, "was_shown", str(found["id"])),)
    body: JsonObject = {"id": found["id"], "step": run.step, "epoch": run.epoch}
    entry = Entry("quote.served", run.tenant, body, principal=run.principal, run=run.id, rests_on=shown)
    await house.ledger.append(entry)
    return Answer("done", found)


def _on_newest_release(standing: Standing, tx: Transaction) -> Standing | Denial:
    """The standing with the newest release pinned, unless the run moved on meanwhile."""
    run = find_run(tx, standing.run.id)
    if run is None or run.epoch != standing.run.epoch:
        return Denial("step_closed", reason="the run moved on before its evidence was read anew")
    return replace(standing, run=on_newest_release(tx, run))


def _denied(house: House, standing: Standing) -> Denial | None:
    """Why nothing is read here at all. Which labels are read with is the read grant's matter."""
    run, gate = standing.run, house.ledger.read(read_gate)
    frozen = freeze_denial(gate, run.principal)
    if frozen is not None:
        return frozen
    question = read_evidence(standing.caller.agent, run.id, run.tenant, run_owner=run.principal, labels=())
    decision = house.policies.decide(question)
    return house.outdated(gate) if decision.allowed else Denial("policy_denied", reason=decision.reason)


def _assemble(house: House, standing: Standing, needs: StepContext, wording: str) -> Bundle:
    return house.ledger.read(
        lambda reading: build_bundle(
            house.store,
            reading,
            grant_of_step(house, standing),
            wording,
            pinned=needs.pinned,
            budget=needs.budget,
            now_ms=system_now_ms(),
        )
    )


def _resolved(house: House, standing: Standing, source: str) -> JsonObject | None:
    cited = ProvenanceId.parse(source)
    if cited is None:
        return None
    if cited.source.startswith(OBSERVATION_PREFIX):
        return _observed(house, standing.run.id, cited)
    grant = grant_of_step(house, standing)
    found = house.ledger.read(lambda reading: resolve(house.store, reading, grant, cited, system_now_ms()))
    return None if found is None else _as_json(found)


def _observed(house: House, run_id: str, cited: ProvenanceId) -> JsonObject | None:
    observation = house.ledger.read(lambda reading: find_observation(reading, run_id, cited))
    if observation is None:
        return None
    start, end = cited.span or (0, len(observation.text))
    if not 0 <= start < end <= len(observation.text):
        return None
    return {"id": str(cited), "quote": observation.text[start:end], "tool": observation.tool}


def _as_json(found: Resolved) -> JsonObject:
    return {
        "id": str(found.id),
        "quote": found.quote,
        "title": found.title,
        "section": list[JsonValue](found.section),
        "standing": found.standing,
        "successor": None if found.successor is None else str(found.successor),
    }
