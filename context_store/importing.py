"""Importing a text: what comes in becomes a draft, or nothing at all does.

The channel outranks the document. Who imports, with which authority and under which labels is said by the
`Intake`; front matter only proposes within it: it cannot take another owner's id, nor widen access.
Re-importing unchanged content makes no new version.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from context_store.drafts import (
    Draft,
    bytes_digest,
    drop_version,
    existing,
    latest_versions,
    next_key,
    read_before,
    write_drafts,
)
from context_store.duplicates import Duplicate, find_duplicates
from context_store.errors import ImportRefused
from context_store.extract import Document, check_name, extract, extractor_of, read_file
from context_store.front_matter import Proposal
from context_store.grants import CurationGrant
from context_store.intake import Incoming, Intake, check_claim, settle
from context_store.provenance import ProvenanceId
from context_store.store import KnowledgeStore
from context_store.tables import version_status
from ledger.canonical import JsonObject
from ledger.entries import Entry
from ledger.ledger import Ledger
from ledger.transaction import AnyRow, Reading, Transaction


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: `new` source, `changed` (a new version of a known one), or `unchanged` (nothing was
    written).

    `ignored` names keys of the front matter that mean nothing here; `duplicates` are versions of other
    sources that say the same, or nearly.
    """

    id: ProvenanceId
    outcome: Literal["new", "changed", "unchanged"]
    title: str
    passages: int
    text_digest: str
    ignored: tuple[str, ...]
    duplicates: tuple[Duplicate, ...] = ()


def import_source(store: KnowledgeStore, ledger: Ledger, path: Path, intake: Intake) -> Imported:
    """Import a file as a draft.

    Raises `ImportRefused` with one sentence when it cannot be, and then keeps nothing of it.
    """
    return import_text(store, ledger, read_file(path), path.name, path.absolute().as_uri(), intake)


def import_text(
    store: KnowledgeStore, ledger: Ledger, raw: bytes, name: str, origin: str, intake: Intake
) -> Imported:
    """Import one text; see `import_many`. Raises the refusal."""
    [outcome] = import_many(store, ledger, [Incoming(name, origin, raw)], intake)
    if isinstance(outcome, ImportRefused):
        raise outcome
    return outcome


def import_many(
    store: KnowledgeStore, ledger: Ledger, incoming: Sequence[Incoming], intake: Intake
) -> list[Imported | ImportRefused]:
    """Import several texts together: each becomes a draft, or is refused for itself.

    What becomes drafts is one transaction in the store and then one in the ledger, so a crash leaves all of
    them or none. Importing the same again changes nothing, and is quick where its text was read from it
    before: so an import that was interrupted is resumed by repeating it.
    """
    outcomes: dict[int, Imported | ImportRefused] = {}
    settled: dict[int, tuple[Draft, Document]] = {}
    for number, (one, document) in enumerate(zip(incoming, _documents(store, incoming, intake), strict=True)):
        try:
            if isinstance(document, ImportRefused):
                raise document
            settled[number] = (settle(document, one, intake), document)
        except ImportRefused as refused:
            outcomes[number] = refused
    if settled:
        with store.curating:
            outcomes |= _import_settled(store, ledger, incoming, settled, intake)
    return [outcomes[number] for number in range(len(incoming))]


def _import_settled(
    store: KnowledgeStore,
    ledger: Ledger,
    incoming: Sequence[Incoming],
    settled: Mapping[int, tuple[Draft, Document]],
    intake: Intake,
) -> dict[int, Imported | ImportRefused]:
    tenant, sources = intake.tenant, sorted({draft.source for draft, _ in settled.values()})
    known = ledger.read(lambda reading: _versions(reading, tenant, sources))
    with store.reading() as cursor:
        latest = latest_versions(cursor, tenant, sorted(known))
    outcomes: dict[int, Imported | ImportRefused] = {}
    drafts: dict[int, Draft] = {}
    taken: dict[str, int] = {}
    for number, (draft, document) in settled.items():
        name, rows = incoming[number].name, known.get(draft.source, [])
        try:
            if (other := taken.setdefault(draft.source, number)) != number:
                raise ImportRefused(
                    f"{name} and {incoming[other].name} would both be the source {draft.source!r};"
                    " give one of them another id."
                )
            newest = latest.get(draft.source)
            if newest is not None:
                named = intake.source_id or document.proposal.id
                check_claim(draft, newest, name, derived=not named)
                same = newest.version == rows[-1].version and newest.same_as(draft)
                if same and rows[-1].status != "retired":
                    unchanged = replace(draft, version=newest.version)
                    outcomes[number] = _imported(unchanged, "unchanged", document)
                    continue
            drafts[number] = replace(draft, version=rows[-1].version + 1 if rows else 1)
        except ImportRefused as refused:
            outcomes[number] = refused
    if drafts:
        _keep(store, ledger, list(drafts.values()), known)
    named = [draft.id for draft in drafts.values()]
    alike = _alike(store, named, intake)
    for number, draft in drafts.items():
        made = _imported(draft, "changed" if draft.source in known else "new", settled[number][1])
        outcomes[number] = replace(made, duplicates=alike.get(made.id, ()))
    return outcomes


def _sources(drafts: Mapping[int, Draft]) -> set[str]:
    return {draft.source for draft in drafts.values()}


def _keep(
    store: KnowledgeStore, ledger: Ledger, drafts: Sequence[Draft], known: Mapping[str, Sequence[AnyRow]]
) -> None:
    """Write the drafts, first into the store and then into the ledger, from where on they exist."""
    new_sources = _sources(dict(enumerate(drafts))) - known.keys()
    with store.reading() as cursor:
        strays = existing(cursor, [draft.id for draft in drafts], drafts[0].tenant)
    if strays:
        with store.writing() as cursor:
            # What an import that failed in between left behind, and the ledger never heard of.
            for stray in strays:
                drop_version(
                    cursor,
                    drafts[0].tenant,
                    stray.source,
                    stray.version,
                    with_source=stray.source in new_sources,
                )
    with store.writing() as cursor:
        write_drafts(cursor, drafts, next_key(cursor), new_sources)
    ledger.transact_now(lambda tx: _record(tx, drafts, new_sources))


def _alike(
    store: KnowledgeStore, versions: Sequence[ProvenanceId], intake: Intake
) -> Mapping[ProvenanceId, tuple[Duplicate, ...]]:
    """Duplicates are for people who curate; an agent learns nothing about texts that it may not read."""
    if intake.authority == "agent" or not versions:
        return {}
    with store.reading() as cursor:
        return find_duplicates(cursor, CurationGrant(intake.tenant, intake.by), versions)


def _documents(
    store: KnowledgeStore, incoming: Sequence[Incoming], intake: Intake
) -> Iterator[Document | ImportRefused]:
    """What each of them says: read anew, or as it was read from the very same bytes before."""
    for one in incoming:
        try:
            check_name(one.name)
            reader = extractor_of(one.name)
            before = None if reader is None else _read_before(store, one, reader, intake)
            yield before or extract(one.raw, one.name)
        except ImportRefused as refused:
            yield refused


def _read_before(store: KnowledgeStore, one: Incoming, reader: str, intake: Intake) -> Document | None:
    with store.reading() as cursor:
        found = read_before(cursor, intake.tenant, one.origin, bytes_digest(one.raw), reader)
    return None if found is None else Document(found[1], found[0], Proposal(), found[2], reader)


def _record(tx: Transaction, drafts: Sequence[Draft], new_sources: Collection[str]) -> None:
    tx.execute(
        version_status.insert(),
        [
            {
                "tenant": draft.tenant,
                "source": draft.source,
                "version": draft.version,
                "status": "draft",
                "text_digest": draft.text_digest,
                "author": draft.author,
                "valid_from_ms": draft.valid_from_ms,
                "valid_until_ms": draft.valid_until_ms,
                "since_ms": tx.now_ms,
            }
            for draft in drafts
        ],
    )
    for draft in drafts:
        if draft.source in new_sources:
            proposed: JsonObject = {"source": draft.source, "owner": draft.owner, "origin": draft.origin}
            tx.append(Entry("source.proposed", draft.tenant, proposed, principal=draft.author))
        tx.append(Entry("version.drafted", draft.tenant, draft.as_json(), principal=draft.author))


def _versions(reading: Reading, tenant: str, sources: Sequence[str]) -> dict[str, list[AnyRow]]:
    """Every version that the ledger knows of these sources, oldest first."""
    c = version_status.c
    mine = (c.tenant == tenant) & c.source.in_(sources)
    found: defaultdict[str, list[AnyRow]] = defaultdict(list)
    for row in reading.all(version_status.select().where(mine).order_by(c.source, c.version)):
        found[row.source].append(row)
    return dict(found)


def _imported(draft: Draft, outcome: Literal["new", "changed", "unchanged"], document: Document) -> Imported:
    return Imported(
        id=ProvenanceId(draft.source, draft.version),
        outcome=outcome,
        title=draft.title,
        passages=len(draft.passages),
        text_digest=draft.text_digest,
        ignored=document.proposal.ignored,
    )
