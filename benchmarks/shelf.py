"""A library filled at one go with documents that somebody else wrote, for measuring what is found in it."""

from __future__ import annotations

import unicodedata
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from context_store.bundles import Bundle, build_bundle
from context_store.curation import review, submit
from context_store.errors import ImportRefused
from context_store.grants import ReadGrant
from context_store.head import head_release
from context_store.importing import Imported, import_many
from context_store.intake import Incoming, Intake
from context_store.opening import open_knowledge
from context_store.provenance import ProvenanceId
from context_store.releases import publish
from context_store.store import KnowledgeStore
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from ledger.transaction import Transaction

NOW_MS = 1_800_000_000_000
TENANT = "bench"
_BATCH = 100


@dataclass(frozen=True, slots=True)
class Shelf:
    """An open library; every tenant in it is one corpus."""

    store: KnowledgeStore
    ledger: Ledger

    def publish(self, documents: Sequence[tuple[str, str]], tenant: str = TENANT) -> None:
        """Import, review and publish documents, given as file names and texts, as one release of a tenant."""
        incoming = [Incoming(name, f"bench:{name}", _clean(text)) for name, text in documents]
        versions = [
            _id_of(outcome)
            for at in range(0, len(incoming), _BATCH)
            for outcome in import_many(
                self.store, self.ledger, incoming[at : at + _BATCH], Intake(tenant, "carol")
            )
        ]

        def curate(tx: Transaction) -> None:
            for version in versions:
                submit(tx, tenant, version, "carol")
                review(tx, tenant, version, "rita", "accept")

        self.ledger.transact_now(curate)
        publish(self.store, self.ledger, tenant, versions, "carol")

    def grant(self, tenant: str = TENANT) -> ReadGrant:
        """Who reads: a step that holds no label."""
        head = self.ledger.read(lambda reading: head_release(reading, tenant))
        return ReadGrant(tenant, "bot", run="run_1", step="read", epoch=1, release=head)

    def bundle(self, grant: ReadGrant, need: str, budget: int) -> Bundle:
        """The evidence for a need."""
        return self.ledger.read(
            lambda reading: build_bundle(self.store, reading, grant, need, budget=budget, now_ms=NOW_MS)
        )


def _id_of(outcome: Imported | ImportRefused) -> ProvenanceId:
    if isinstance(outcome, ImportRefused):
        raise outcome
    return outcome.id


def _clean(text: str) -> bytes:
    """Without the control characters that web pages carry, which an import refuses."""
    return "".join(sign for sign in text if sign == "\n" or unicodedata.category(sign) != "Cc").encode()


@contextmanager
def shelf(folder: Path) -> Generator[Shelf]:
    """A new library in a folder."""
    KeyRing.create(folder / "keys")
    keys = KeyRing.load(folder / "keys")
    with (
        Ledger.open(f"sqlite:///{folder / 'ledger.db'}", keys, origin="bailiwick.bench/shelf") as ledger,
        open_knowledge(folder / "knowledge.duckdb", ledger) as store,
    ):
        yield Shelf(store, ledger)
