"""Evidence for a step: the bundle it is shown, and what a provenance id resolves to.

Whatever a run is shown is recorded before it leaves. What the grant does not cover is as if absent.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from anyio import to_thread

from context_store.bundles import Bundle, build_bundle, record_bundle, record_showing
from context_store.items import validity
from context_store.provenance import OBSERVATION_PREFIX, ProvenanceId
from context_store.quotes import Resolved, neighbourhood, resolve
from context_store.search import NeedRefused
from context_store.shown import read_bundle
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


async def cite(
    house: House, caller: Caller, run_id: str | None, source: str, around: int = 0
) -> Answer | Refused:
    """What a provenance id stands for now: the exact quote, and whether it is still in force; with `around`,
    also the text of that many passages before and after it.
    """
    standing = house.ledger.read(lambda reading: stand(house, reading, caller, run_id))
    if isinstance(standing, Denial):
        return await refuse(house, caller, None, "cite", standing)
    denial = _denied(house, standing)
    await house.ledger.settled()  # what was just answered can be cited
    found = None if denial else await to_thread.run_sync(_resolved, house, standing, source, around)
    if found is None:
        absent = Denial("unknown_tool", reason=f"{source[:200]} names nothing that this run may read")
        return await refuse(house, caller, standing.run.id, "cite", denial or absent)
    run = standing.run
    near = found.get("neighbourhood")
    ids = [found["id"], *([near["id"]] if isinstance(near, dict) else [])]
    shown = tuple(RestsOn(run.id, "was_shown", str(one)) for one in ids)
    body: JsonObject = {"id": found["id"], "step": run.step, "epoch": run.epoch}
    if len(ids) > 1:
        body["neighbourhood"] = ids[1]
    entry = Entry("quote.served", run.tenant, body, principal=run.principal, run=run.id, rests_on=shown)
    await house.ledger.append(entry)
    return Answer("done", found)


async def reread_bundle(house: House, caller: Caller, run_id: str | None, bundle: str) -> bytes | Refused:
    """A bundle that the run was shown, byte for byte; showing it again is on record too.

    Another run's bundle is as if absent.
    """
    standing = house.ledger.read(lambda reading: stand(house, reading, caller, run_id))
    if isinstance(standing, Denial):
        return await refuse(house, caller, None, "read_bundle", standing)
    denial = _denied(house, standing)
    grant = grant_of_step(house, standing)
    raw = None if denial else house.ledger.read(lambda reading: read_bundle(reading, grant, bundle))
    if raw is None:
        absent = Denial("unknown_tool", reason=f"{bundle[:64]} is no bundle that this run was shown")
        return await refuse(house, caller, standing.run.id, "read_bundle", denial or absent)
    await house.ledger.transact(lambda tx: record_showing(tx, raw, grant))
    return raw


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


def _resolved(house: House, standing: Standing, source: str, around: int) -> JsonObject | None:
    cited = ProvenanceId.parse(source)
    if cited is None:
        return None
    if cited.source.startswith(OBSERVATION_PREFIX):
        return _observed(house, standing.run.id, cited)
    grant = grant_of_step(house, standing)
    now_ms = system_now_ms()
    found = house.ledger.read(lambda reading: resolve(house.store, reading, grant, cited, now_ms))
    if found is None:
        return None
    said = _as_json(found)
    if around and cited.span is not None:
        wider = house.ledger.read(
            lambda reading: neighbourhood(house.store, reading, grant, cited, around, now_ms)
        )
        said["neighbourhood"] = None if wider is None else {"id": str(wider[0]), "quote": wider[1]}
    return said


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
        "source": found.id.source,
        "version": found.id.version,
        "digest": found.text_digest,
        "quote": found.quote,
        "title": found.title,
        "authority": found.authority,
        "collection": found.collection,
        "valid": validity(found.valid_from_ms, found.valid_until_ms),
        "section": list[JsonValue](found.section),
        "standing": found.standing,
        "successor": None if found.successor is None else str(found.successor),
    }
