"""At a start: which policy set this process goes by, and putting its files in force.

The data folder's policies are taken if they may be; else the set that is in force goes on, from the ledger.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from ledger.canonical import text_digest
from ledger.ledger import Ledger
from policies.cedar import PolicySet
from policies.errors import PolicySetRefused
from policies.gate_state import read_gate
from policies.people import is_single_handed
from policies.taking import Files, Part, policies_in_force, take_files, why_not_taken
from server.data_folder import DataFolder
from tool_scopes.catalogue import Catalogue
from tool_scopes.catalogue_lowering import lowerings, tools_in_force
from tool_scopes.workflow_lowering import digest_of_kept, loosened, workflows_in_force
from tool_scopes.workflows import Workflow

logger = logging.getLogger(__name__)

SINGLE_HANDED = "this installation is single-handed: one admin alone may lower the gate"


def policies_to_judge_with(folder: DataFolder, ledger: Ledger) -> PolicySet:
    """The set in force, for a command that judges for itself; the folder's while nothing was ever loaded."""
    return ledger.read(policies_in_force) or PolicySet.load(folder.policy_dir)


def policies_to_start_with(folder: DataFolder, ledger: Ledger) -> PolicySet:
    """The folder's set if it may come into force by a start; else the one in force, with a warning."""
    try:
        found = PolicySet.load(folder.policy_dir)
        if found.digest == ledger.read(read_gate).policy:
            return found
        now = ledger.read(policies_in_force)
    except PolicySetRefused as refused:
        now = ledger.read(policies_in_force)
        if now is None:
            raise
        now = PolicySet.from_files(now.files, place="the ledger")
        logger.warning("the policies in force go on, because those in the folder do not load: %s", refused)
        return now
    why = ledger.read(lambda reading: why_not_taken(reading, found, now))
    if now is None or not why:
        return found
    logger.warning(
        "the policies in force go on, because those in %s may allow more (%s), which takes two admins: "
        "propose them with `bailiwick policy load`, or put the files back as they were",
        folder.policy_dir,
        "; ".join(why[:3]),
    )
    return now


def put_in_force(
    ledger: Ledger, policies: PolicySet, catalogue: Catalogue, workflows: Mapping[str, Workflow]
) -> str:
    """Bring what a server loaded into force; the digest of all workflows. Raises `GateLowered`."""
    files = files_of(catalogue, workflows)
    gate = ledger.transact_now(lambda tx: take_files(tx, policies, files, by="server"))
    if ledger.read(is_single_handed):
        logger.warning("%s", SINGLE_HANDED)
    return gate.workflows


def files_of(catalogue: Catalogue, workflows: Mapping[str, Workflow]) -> Files:
    """What the gate is told of a catalogue and workflows."""
    digests = {workflow.name: workflow.digest for workflow in workflows.values()}
    return Files(catalogue.digest, digests, tools_of(catalogue), flows_of(workflows))


def tools_of(catalogue: Catalogue) -> Part:
    """What the gate compares of a catalogue."""
    return Part("tools", tools_in_force(catalogue), text_digest, lowerings, "bailiwick upstream load")


def flows_of(workflows: Mapping[str, Workflow]) -> Part:
    """What the gate compares of workflows."""
    return Part(
        "workflows", workflows_in_force(workflows), digest_of_kept, loosened, "bailiwick workflow load"
    )
