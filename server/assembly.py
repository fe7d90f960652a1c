"""Wiring the house: from a data folder to everything that operations work with, and back down in order at the
end.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager

from context_store.opening import open_knowledge
from ledger.clock import system_now_ms
from ledger.ids import new_id
from ledger.keyring import KeyRing
from policies.gate_proof import prove_gate
from policies.in_force import PoliciesInForce
from server.data_folder import DataFolder
from server.open_ledger import open_ledger
from server.retrieval import equip, log_channels
from server.seeing_upstreams import SeenUpstreams
from server.settings import Settings
from server.taking_files import policies_to_start_with, put_in_force
from server.witnesses import witnessed
from tool_scopes.catalogue_files import load_catalogue
from tool_scopes.executions import expire_leases
from tool_scopes.house import House
from tool_scopes.offering import Offering
from tool_scopes.scopes import Scopes
from tool_scopes.secrets_file import read_secrets
from tool_scopes.upstream.fleet import running_upstreams
from tool_scopes.upstream.servers import Surroundings
from tool_scopes.workflow_files import load_workflows
from tool_scopes.workflows_in_force import WorkflowsInForce

logger = logging.getLogger(__name__)


@asynccontextmanager
async def running_house(folder: DataFolder, settings: Settings) -> AsyncGenerator[House]:
    """Open the folder that this process owns, start its upstreams, and give the wired house.

    Raises the floors' own exceptions, each with a sentence for the person at the terminal. Nothing is left
    running then.
    """
    catalogue = load_catalogue(folder.catalogue_dir)
    workflows = load_workflows(folder.workflows_dir, catalogue)
    with ExitStack() as opened:
        ring = KeyRing.load(folder.keys_dir)
        ledger = opened.enter_context(
            open_ledger(folder, ring, settings.ledger_url, deferred=settings.records == "deferred")
        )
        ledger.make_room()
        ledger.read(prove_gate)
        witness = opened.enter_context(witnessed(folder, settings, ring, ledger))
        store = opened.enter_context(open_knowledge(folder.knowledge_path, ledger))
        equip(store, settings)
        log_channels(store, settings)
        policies = policies_to_start_with(folder, ledger)
        workflows_digest = put_in_force(ledger, policies, catalogue, workflows)
        ledger.transact_now(expire_leases)
        surroundings = Surroundings(places=folder.places(), secrets=read_secrets(folder.secrets_file))
        offering = Offering(catalogue)
        seen = SeenUpstreams(offering, ledger)
        async with running_upstreams(
            catalogue, surroundings, seen=seen.see, logs=folder.logs_dir
        ) as upstreams:
            seen.all_started(catalogue, upstreams)
            yield House(
                ledger=ledger,
                store=store,
                ring=ring,
                policies=PoliciesInForce(policies),
                catalogue=catalogue,
                upstreams=upstreams,
                opened_with=WorkflowsInForce(workflows, workflows_digest),
                scopes=Scopes(offering, catalogue, workflows),
                instance=new_id("ins", system_now_ms()),
                witness=witness,
            )
