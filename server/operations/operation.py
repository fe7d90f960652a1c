"""What an operation is, and what it works with."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from anyio import from_thread
from pydantic import BaseModel, ConfigDict

from context_store.store import KnowledgeStore
from ledger.canonical import JsonObject
from ledger.clock import system_now_ms
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from policies.agreements import Agreement
from policies.in_force import PoliciesInForce
from policies.operations import SignedOperation
from policies.principals import Person
from server.data_folder import DataFolder
from server.settings import Settings
from tool_scopes.house import House

T = TypeVar("T")

Need = Literal["person", "proposer", "curator", "reviewer", "admin"]
"""Who may ask: any enrolled person; whom policy lets propose sources, curate or administer; or, for
`reviewer`, whom the operation itself asks the gate about, because the question depends on what is
judged.
"""

Uses = Literal["ledger", "store", "house"]
"""What has to be open: the ledger alone; the knowledge store too; or everything, with upstreams running."""


class Arguments(BaseModel):
    """The arguments of an operation: strict, and nothing besides."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class NoArguments(Arguments):
    """For operations that need none."""


ArgumentsT = TypeVar("ArgumentsT", bound=Arguments)


@dataclass(frozen=True, slots=True)
class Operation(Generic[ArgumentsT]):
    """One act. `run` gets the desk, the person who asks, and the arguments; it runs in a worker thread.

    `subject` is the id that the gate is asked about, for curators and proposers. `logged` operations are
    written down with the signature that asked for them; listings are not. `lowers` says how an act lowers the
    gate; if it does, a second admin has to sign before it is done.
    """

    name: str
    arguments: type[ArgumentsT]
    needs: Need
    run: Callable[[OperationDesk, Person, ArgumentsT], JsonObject]
    uses: Uses = "ledger"
    subject: Callable[[ArgumentsT], str] | None = None
    logged: bool = True
    lowers: Callable[[OperationDesk, Person, ArgumentsT], tuple[str, ...]] | None = None


AnyOperation = Operation[Any]


@dataclass(frozen=True, slots=True)
class OperationDesk:
    """What operations work with. `house` is there where a server owns the folder, or where it is used."""

    folder: DataFolder
    settings: Settings
    ledger: Ledger
    ring: KeyRing
    policies: PoliciesInForce
    open_store: KnowledgeStore | None = None
    open_house: House | None = None
    served: bool = False
    """Whether this is a running server, which goes on with the files that it loaded at its start."""

    asked: SignedOperation | None = None
    """The operation that is being performed, as it was signed."""

    agreement: Agreement | None = None
    """What two admins signed, where it took two to have this done."""

    @property
    def signed(self) -> SignedOperation:
        """The operation that is being performed, as it was signed; there is always one when it runs."""
        assert self.asked is not None, "an operation is performed because somebody signed it"
        return self.asked

    @property
    def act(self) -> str | None:
        """The act of two admins that is being carried out, if it is one."""
        return None if self.agreement is None else self.agreement.act

    @property
    def store(self) -> KnowledgeStore:
        """The knowledge store; an operation that asks for it says so in `uses`."""
        assert self.open_store is not None, "the operation does not use the store"
        return self.open_store

    @property
    def house(self) -> House:
        """The running house; an operation that asks for it says so in `uses`."""
        assert self.open_house is not None, "the operation does not use the house"
        return self.open_house

    def now_ms(self) -> int:
        """The time, for what is not decided inside a transaction."""
        return system_now_ms()

    def wait(self, work: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> T:
        """Do asynchronous work in the event loop and wait for it: operations themselves run in a thread."""
        return from_thread.run(work, *arguments)
