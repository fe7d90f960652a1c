"""What importing and publishing cost, beside SQLite's own full-text index over the same texts.

The pages have words with the frequencies that natural text has (Zipf). Ours are cut into passages, indexed,
sketched for duplicates, written to two engines, reviewed by a second person, and logged under signed heads;
the peer stores each page's passages in an FTS5 table and commits. Publishing is measured in a small and in a
large library: what it costs should follow the change and not the library.
"""

from __future__ import annotations

import random
import sqlite3
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import context_store.tables as _tables
from benchmarks.calls import WrongAnswer
from benchmarks.registry import Extent
from benchmarks.rows import Row
from context_store.curation import review, submit
from context_store.errors import ImportRefused
from context_store.extract import extract
from context_store.extractors import html_reader
from context_store.importing import Imported, import_many
from context_store.intake import Incoming, Intake
from context_store.opening import open_knowledge
from context_store.provenance import ProvenanceId
from context_store.releases import publish
from context_store.store import KnowledgeStore
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from ledger.transaction import Transaction

PAGES, SMALL_PAGES = 10_000, 1_000
PASSAGES, WORDS = 10, 30
HTML_PAGES = 200
BATCH = 100
PUBLISH_MOST_MS = 2_000.0
PEER_NAME = "SQLite FTS5, the same passages"
READER_NAME = "the same reader in this process"
_TENANT, _AUTHOR, _REVIEWER = "bench", "ada", "rex"


def measure(extent: Extent) -> list[Row]:
    """The large import once, publishing as often as there are rounds, and reading HTML page by page."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="bailiwick-bench-") as place:
        for pages in (SMALL_PAGES, PAGES):
            with _library(Path(place) / str(pages)) as library, _peer(Path(place) / f"{pages}.db") as peer:
                texts = list(_pages(pages))
                ours = _timed(library.bring_in, texts)
                theirs = _timed(_bring_in, peer, texts)
                library.publish(library.accept_all())
                size = f"{pages * PASSAGES // 1000}k passages"
                if pages == PAGES:
                    rows.append(
                        Row(
                            name="import",
                            metric=f"a page of {pages:,}, imported in batches",
                            unit="ms",
                            ours=ours / pages,
                            peer=theirs / pages,
                            peer_name=PEER_NAME,
                        )
                    )
                rows.append(_publishing(library, peer, size, extent.rounds))
        rows.append(_reading_html(extent.rounds))
    return rows


def _publishing(library: _Library, peer: sqlite3.Connection, size: str, rounds: int) -> Row:
    ours: list[float] = []
    theirs: list[float] = []
    for number, drawn in enumerate(_pages(rounds, seed=2)):
        page = Incoming(f"one-more-{number}.md", f"memory:one-more-{number}", drawn.raw)
        ours.append(_timed(library.add_and_publish, page))
        theirs.append(_timed(_bring_in, peer, [page]))
    return Row(
        name="import",
        metric=f"add one document and publish, at {size}, p50",
        unit="ms",
        ours=median(ours),
        peer=median(theirs),
        peer_name=PEER_NAME,
        most=PUBLISH_MOST_MS,
    )


def _reading_html(rounds: int) -> Row:
    pages = [
        f"<html><body><h1>Page {number}</h1>{_as_html(page.raw.decode())}</body></html>".encode()
        for number, page in enumerate(_pages(HTML_PAGES, seed=3))
    ]
    extract(pages[0], "page.html")  # the worker's process is there
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(max(1, rounds // 4)):
        ours.append(_timed(_each, pages, _read_apart) / len(pages))
        theirs.append(_timed(_each, pages, html_reader.read) / len(pages))
    return Row(
        name="import",
        metric="an HTML page read in a process of its own, p50",
        unit="ms",
        ours=median(ours),
        peer=median(theirs),
        peer_name=READER_NAME,
    )


def _read_apart(page: bytes) -> object:
    return extract(page, "page.html")


def _each(pages: Sequence[bytes], read: Callable[[bytes], object]) -> None:
    for page in pages:
        read(page)


def _as_html(text: str) -> str:
    return "".join(f"<p>{paragraph}</p>" for paragraph in text.split("\n\n"))


def _pages(count: int, seed: int = 1) -> Iterator[Incoming]:
    chance = random.Random(seed)
    words = [
        f"{chance.choice('bcdfgklmnprst')}{chance.choice('aeiou')}{number:x}" for number in range(20_000)
    ]
    weights = [1 / (rank + 2.7) for rank in range(len(words))]
    for number in range(count):
        drawn = chance.choices(words, weights, k=PASSAGES * WORDS)
        paragraphs = [
            " ".join(drawn[at : at + WORDS]).capitalize() + "." for at in range(0, len(drawn), WORDS)
        ]
        yield Incoming(f"page-{number}.md", f"memory:page-{number}", "\n\n".join(paragraphs).encode())


@dataclass(frozen=True, slots=True)
class _Library:
    store: KnowledgeStore
    ledger: Ledger

    def bring_in(self, pages: Sequence[Incoming]) -> list[ProvenanceId]:
        found: list[ProvenanceId] = []
        for at in range(0, len(pages), BATCH):
            outcomes = import_many(
                self.store, self.ledger, pages[at : at + BATCH], Intake(_TENANT, _AUTHOR, "imported")
            )
            found += [_id_of(outcome) for outcome in outcomes]
        return found

    def accept_all(self) -> list[ProvenanceId]:
        c = _tables.version_status.c
        drafts = _tables.version_status.select().where(c.status == "draft")
        rows = self.ledger.read(lambda reading: reading.all(drafts))
        versions = [ProvenanceId(row.source, row.version) for row in rows]
        for at in range(0, len(versions), BATCH):
            self.accept(versions[at : at + BATCH])
        return versions

    def accept(self, versions: Sequence[ProvenanceId]) -> None:
        def both(tx: Transaction) -> None:
            for version in versions:
                submit(tx, _TENANT, version, _AUTHOR)
                review(tx, _TENANT, version, _REVIEWER, "accept")

        self.ledger.transact_now(both)

    def publish(self, versions: Sequence[ProvenanceId]) -> None:
        publish(self.store, self.ledger, _TENANT, versions, _REVIEWER)

    def add_and_publish(self, page: Incoming) -> None:
        [version] = self.bring_in([page])
        self.accept([version])
        self.publish([version])


def _id_of(outcome: Imported | ImportRefused) -> ProvenanceId:
    if isinstance(outcome, ImportRefused) or outcome.outcome != "new" or outcome.passages != PASSAGES:
        raise WrongAnswer(f"a page did not come in as it is: {outcome}")
    return outcome.id


@contextmanager
def _library(place: Path) -> Generator[_Library]:
    place.mkdir()
    with ExitStack() as opened:
        keys = KeyRing.create(place / "keys")
        ledger = opened.enter_context(
            Ledger.open(f"sqlite:///{place / 'ledger.db'}", keys, origin="bailiwick/bench")
        )
        yield _Library(opened.enter_context(open_knowledge(place / "knowledge.duckdb", ledger)), ledger)


@contextmanager
def _peer(place: Path) -> Generator[sqlite3.Connection]:
    with closing(sqlite3.connect(place)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE VIRTUAL TABLE passages USING fts5(origin UNINDEXED, text)")
        yield connection


def _bring_in(peer: sqlite3.Connection, pages: Sequence[Incoming]) -> None:
    for at in range(0, len(pages), BATCH):
        with peer:
            peer.executemany(
                "INSERT INTO passages VALUES (?, ?)",
                [
                    (page.origin, paragraph)
                    for page in pages[at : at + BATCH]
                    for paragraph in page.raw.decode().split("\n\n")
                ],
            )


def _timed(work: Callable[..., object], *given: object) -> float:
    began = perf_counter()
    work(*given)
    return (perf_counter() - began) * 1_000
