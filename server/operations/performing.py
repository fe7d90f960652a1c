"""Performing a signed operation: the same in a server and at a command line that owns the folder itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace

from anyio import to_thread

from context_store.opening import open_knowledge
from ledger.canonical import JsonObject
from ledger.keyring import KeyRing
from policies.in_force import PoliciesInForce
from policies.operations import SignedOperation
from server.data_folder import DataFolder
from server.errors import BadInput
from server.open_ledger import open_ledger
from server.operations.acts import proposed_instead
from server.operations.admission import admit
from server.operations.operation import OperationDesk, Uses
from server.operations.registry import OPERATIONS
from server.retrieval import equip
from server.settings import Settings
from server.taking_files import policies_to_judge_with
from tool_scopes.house import House


def perform(desk: OperationDesk, name: str, args: JsonObject, signed: SignedOperation) -> JsonObject:
    """Admit and do one operation; blocks. Raises the families that `server.errors.failure_of` knows."""
    operation = OPERATIONS.get(name)
    if operation is None:
        raise BadInput(
            f"There is no operation {name[:64]}; the server may be of another version than this command."
        )
    person, given = admit(desk, operation, args, signed)
    desk = replace(desk, asked=signed)
    lowers = () if operation.lowers is None else operation.lowers(desk, person, given)
    if lowers:
        proposed = proposed_instead(desk, name, args, lowers, person)
        if proposed is not None:
            return proposed
    return operation.run(desk, person, given)


async def perform_beside(
    desk: OperationDesk, name: str, args: JsonObject, signed: SignedOperation
) -> JsonObject:
    """`perform` in a worker thread, so that the event loop goes on."""
    return await to_thread.run_sync(perform, desk, name, args, signed)


def desk_of(house: House, folder: DataFolder, settings: Settings, *, served: bool = True) -> OperationDesk:
    """The desk of a running house."""
    return OperationDesk(
        folder, settings, house.ledger, house.ring, house.policies, house.store, house, served=served
    )


@asynccontextmanager
async def opened_desk(folder: DataFolder, settings: Settings, uses: Uses) -> AsyncGenerator[OperationDesk]:
    """A desk for one operation in this process, which owns the folder; only what it uses is opened."""
    if uses == "house":
        # Only here: it brings the MCP SDK, which would make every other command wait for its import.
        from server.assembly import running_house

        async with running_house(folder, settings) as house:
            yield desk_of(house, folder, settings, served=False)
        return
    ring = KeyRing.load(folder.keys_dir)
    with ExitStack() as opened:
        ledger = opened.enter_context(open_ledger(folder, ring, settings.ledger_url))
        policies = PoliciesInForce(policies_to_judge_with(folder, ledger))
        store = None
        if uses == "store":
            store = opened.enter_context(open_knowledge(folder.knowledge_path, ledger))
            equip(store, settings)
        yield OperationDesk(folder, settings, ledger, ring, policies, store)
