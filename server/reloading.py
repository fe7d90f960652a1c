"""Taking the folder's workflows and policies anew while the server goes on, when it is told to by SIGHUP.

What must hold at a start holds here: files that do not load change nothing, and what lowers the gate waits
for a second admin. The catalogue is not taken anew: its upstreams run, so that takes a start.
"""

from __future__ import annotations

import logging

from ledger.transaction import Transaction
from policies.cedar import PolicySet
from policies.gate_state import GateState, read_gate
from policies.in_force import PoliciesInForce
from policies.taking import take_files
from server.data_folder import DataFolder
from server.errors import RuleRefused, failure_of
from server.taking_files import files_of, policies_to_start_with
from tool_scopes.house import House
from tool_scopes.workflow_files import load_workflows

logger = logging.getLogger(__name__)


def reload_files(house: House, folder: DataFolder) -> None:
    """Take the folder's policies and workflows, as a start would; a failure is logged and changes nothing."""
    try:
        _take(house, folder, policies_to_start_with(folder, house.ledger))
    except Exception as error:  # noqa: BLE001 - whatever it is, the server goes on with what it has
        logger.error("nothing was loaded anew: %s", failure_of(error).sentence)
    else:
        logger.info("policies and workflows of %s are loaded anew", folder.root)


def _take(house: House, folder: DataFolder, policies: PolicySet) -> None:
    workflows = load_workflows(folder.workflows_dir, house.catalogue)
    files = files_of(house.catalogue, workflows)

    def take(tx: Transaction) -> GateState:
        _refuse_outdated(read_gate(tx), house, house.policies)
        return take_files(tx, policies, files, by="server")

    gate = house.ledger.transact_now(take)
    house.policies.replace(policies)
    house.opened_with.replace(workflows, gate.workflows)


def _refuse_outdated(gate: GateState, house: House, now: PoliciesInForce) -> None:
    """A server that is behind must not put its older files back into force."""
    if (gate.catalogue, gate.policy) != (house.catalogue.digest, now.digest):
        raise RuleRefused(
            "Another server brought other policies or another catalogue into force; bring this one up to "
            "date first, by `bailiwick policy load` or a start."
        )
