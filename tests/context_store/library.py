"""A whole library for tests: a store and a ledger in one folder, and people who curate it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from context_store.bundles import Bundle, build_bundle, record_bundle
from context_store.curation import review, submit
from context_store.grants import ReadGrant
from context_store.head import head_release
from context_store.importing import Imported, Intake, import_text
from context_store.opening import open_knowledge
from context_store.provenance import ProvenanceId
from context_store.quotes import Resolved, resolve
from context_store.releases import Release, publish
from context_store.store import KnowledgeStore
from ledger.keyring import KeyRing
from ledger.ledger import Ledger

NOW = 1_800_000_000_000
TENANT = "acme"


@dataclass
class Library:
    """What a test works with; `close` and `reopen` stand for a process's end and the next one's start."""

    folder: Path
    ledger: Ledger = field(init=False)
    store: KnowledgeStore = field(init=False)

    def __post_init__(self) -> None:
        KeyRing.create(self.folder / "keys")
        self.reopen()

    def reopen(self) -> None:
        keys = KeyRing.load(self.folder / "keys")
        self.ledger = Ledger.open(
            f"sqlite:///{self.folder / 'ledger.db'}", keys, origin="bailiwick.test/library", clock=lambda: NOW
        )
        self.store = open_knowledge(self.folder / "knowledge.duckdb", self.ledger)

    def close(self) -> None:
        self.store.close()
        self.ledger.close()

    def draft(self, text: str | bytes, name: str = "policy.md", **intake: Any) -> Imported:
        raw = text.encode() if isinstance(text, str) else text
        given: dict[str, Any] = {"tenant": TENANT, "by": "carol", **intake}
        return import_text(self.store, self.ledger, raw, name, f"memory:{name}", Intake(**given))

    def accept(self, version: ProvenanceId, tenant: str = TENANT) -> ProvenanceId:
        self.ledger.transact_now(lambda tx: submit(tx, tenant, version, "carol"))
        self.ledger.transact_now(lambda tx: review(tx, tenant, version, "rita", "accept"))
        return version

    def publish(self, *versions: ProvenanceId, tenant: str = TENANT) -> Release:
        return publish(self.store, self.ledger, tenant, versions, "carol")

    def add(self, text: str, name: str = "policy.md", **intake: Any) -> ProvenanceId:
        """Import, review and publish a text; a release of its own."""
        tenant = intake.get("tenant", TENANT)
        version = self.accept(self.draft(text, name, **intake).id, tenant)
        self.publish(version, tenant=tenant)
        return version

    def head(self, tenant: str = TENANT) -> int:
        return self.ledger.read(lambda reading: head_release(reading, tenant))

    def grant(self, **fields: Any) -> ReadGrant:
        """A grant on everything without labels, in the newest release, for a step of a run."""
        tenant = fields.get("tenant", TENANT)
        known: dict[str, Any] = {
            "tenant": tenant,
            "principal": "bot",
            "run": "run_1",
            "step": "read",
            "epoch": 1,
            "release": self.head(tenant),
        }
        return ReadGrant(**{**known, **fields})

    def bundle(
        self, need: str, grant: ReadGrant | None = None, *, budget: int = 600, now_ms: int = NOW, **more: Any
    ) -> Bundle:
        asked = grant or self.grant()
        return self.ledger.read(
            lambda reading: build_bundle(
                self.store, reading, asked, need, budget=budget, now_ms=now_ms, **more
            )
        )

    def show(self, bundle: Bundle, grant: ReadGrant | None = None) -> str:
        asked = grant or self.grant()
        return self.ledger.transact_now(lambda tx: record_bundle(tx, bundle, asked))

    def resolve(self, cited: str, grant: ReadGrant | None = None, now_ms: int = NOW) -> Resolved | None:
        parsed = ProvenanceId.parse(cited)
        assert parsed is not None
        asked = grant or self.grant()
        return self.ledger.read(lambda reading: resolve(self.store, reading, asked, parsed, now_ms))

    def text_of(self, version: ProvenanceId) -> str:
        found = self.resolve(str(version.whole()))
        assert found is not None
        return found.quote

    def logged(self) -> list[str]:
        return [entry.kind for entry in self.ledger.entries()]
