"""Asking for an operation: through the process that owns the data folder, or here and now when nobody does.

Either way it is the same signed operation, admitted and performed by the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Final

from ledger.canonical import JsonObject
from policies.signing import PersonalKey
from server.data_folder import DataFolder
from server.ownership import FolderOwned, own
from server.personal_keys import sign_now
from server.sending import send_operation
from server.settings import Settings

Ask = Callable[[str, JsonObject], JsonObject]
"""Has an operation performed, by its name and arguments, and gives its result."""

WAIT_S: Final = 10.0
"""How long a command waits for another one that is at work on the same folder."""


def ask(folder: DataFolder, settings: Settings, key: PersonalKey, name: str, args: JsonObject) -> JsonObject:
    """Have the operation `name` performed for the key's person; its result. Blocks."""
    try:
        with own(folder, wait_s=WAIT_S):
            return _perform_here(folder, settings, key, name, args)
    except FolderOwned as owned:
        if owned.owner is None or owned.owner.url is None:
            raise
        return send_operation(owned.owner.url, name, args, sign_now(key, name, args))


@contextmanager
def asking(folder: DataFolder, settings: Settings, key: PersonalKey) -> Generator[Ask]:
    """`ask` for many operations on the library: a command that owns the folder opens it once for all of them.

    Where a server owns it, each operation goes there by itself.
    """
    with ExitStack() as held:
        try:
            held.enter_context(own(folder, wait_s=WAIT_S))
        except FolderOwned as owned:
            if owned.owner is None or owned.owner.url is None:
                raise
            url = owned.owner.url
            yield lambda name, args: send_operation(url, name, args, sign_now(key, name, args))
            return
        from anyio.from_thread import start_blocking_portal

        from server.operations.performing import opened_desk, perform_beside

        portal = held.enter_context(start_blocking_portal())
        desk = held.enter_context(portal.wrap_async_context_manager(opened_desk(folder, settings, "store")))
        yield lambda name, args: portal.call(perform_beside, desk, name, args, sign_now(key, name, args))


def _perform_here(
    folder: DataFolder, settings: Settings, key: PersonalKey, name: str, args: JsonObject
) -> JsonObject:
    import anyio

    from server.operations.performing import opened_desk, perform_beside
    from server.operations.registry import OPERATIONS

    operation = OPERATIONS.get(name)

    async def perform() -> JsonObject:
        async with opened_desk(folder, settings, "ledger" if operation is None else operation.uses) as desk:
            return await perform_beside(desk, name, args, sign_now(key, name, args))

    return anyio.run(perform)
