"""Importing a text: what comes in becomes a draft, or nothing at all does.

The channel outranks the document. Who imports, with which authority and under which labels is said by the
`Intake`; front matter only proposes within it: it cannot take another owner's id, nor widen access.
Re-importing unchanged content makes no new version.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Final, Literal

from context_store.drafts import Draft, Latest, drop_version, latest_version, next_key, write_draft
from context_store.errors import ImportRefused
from context_store.extract import Document, extract, read_file
from context_store.front_matter import check_source_id
from context_store.provenance import ProvenanceId
from context_store.store import KnowledgeStore
from context_store.tables import version_status
from ledger.canonical import JsonObject, text_digest
from ledger.entries import Entry
from ledger.ledger import Ledger
from ledger.transaction import AnyRow, Reading, Transaction
from policies.principals import is_valid_id, require_id

Authority = Literal["human", "imported", "agent"]

DEFAULT_COLLECTION: Final = "general"


@dataclass(frozen=True, slots=True)
class Intake:
    """How a text comes in.

    `by` is the principal that brings it. `owner` and `source_id` are what the channel itself says, before any
    front matter; `labels` are added to what the document asks for; `collection` goes before the document's.
    """

    tenant: str
    by: str
    authority: Authority = "imported"
    owner: str | None = None
    source_id: str | None = None
    labels: frozenset[str] = frozenset()
    collection: str | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: `new` source, `changed` (a new version of a known one), or `unchanged` (nothing was
    written).

    `ignored` names keys of the front matter that mean nothing here.
    """

    id: ProvenanceId
    outcome: Literal["new", "changed", "unchanged"]
    title: str
    passages: int
    text_digest: str
    ignored: tuple[str, ...]


def import_source(store: KnowledgeStore, ledger: Ledger, path: Path, intake: Intake) -> Imported:
    """Import a file as a draft.

    Raises `ImportRefused` with one sentence when it cannot be, and then keeps nothing of it.
    """
    return import_text(store, ledger, read_file(path), path.name, path.absolute().as_uri(), intake)


def import_text(
    store: KnowledgeStore, ledger: Ledger, raw: bytes, name: str, origin: str, intake: Intake
) -> Imported:
    """Import bytes as if they stood in a file called `name`; `origin` is the URI that the source is recorded
    under.
    """
    document = extract(raw, name)
    draft = _settle(document, name, origin, intake)
    with store.curating:
        rows = ledger.read(lambda reading: _versions(reading, draft))
        with store.reading() as cursor:
            latest = latest_version(cursor, draft.tenant, draft.source) if rows else None
        outcome = "changed" if rows else "new"
        if latest is not None:
            _check_claim(draft, latest, name, derived=not (intake.source_id or document.proposal.id))
            if rows[-1].status != "retired" and latest.version == rows[-1].version and latest.same_as(draft):
                return _imported(replace(draft, version=latest.version), "unchanged", document)
        draft = replace(draft, version=rows[-1].version + 1 if rows else 1)
        with store.writing() as cursor:
            # What an import that failed in between left behind, and the ledger never heard of.
            drop_version(cursor, draft.tenant, draft.source, draft.version, with_source=not rows)
        with store.writing() as cursor:
            write_draft(cursor, draft, next_key(cursor), new_source=not rows)
        ledger.transact_now(lambda tx: _record(tx, draft, new_source=not rows))
    return _imported(draft, outcome, document)


def _settle(document: Document, name: str, origin: str, intake: Intake) -> Draft:
    """The draft under the rules of the channel, before its version is known."""
    proposal = document.proposal
    tenant, by = require_id(intake.tenant, "a tenant"), require_id(intake.by, "a principal")
    for label in intake.labels:
        _check_name(label, "a label")
    if intake.authority == "agent":
        # An agent stays within its own name: it can neither claim another's id nor learn whether that exists.
        source = _within(by, intake.source_id or proposal.id or _slug(name), name)
        if (proposal.owner or by) != by:
            raise ImportRefused(
                f"{name} names {proposal.owner!r} as its owner; an agent proposes texts of its own only."
            )
        owner = by
    else:
        source = check_source_id(intake.source_id or proposal.id or _slug(name), name)
        owner = intake.owner or proposal.owner or by
    return Draft(
        tenant=tenant,
        source=source,
        version=0,
        owner=_check_name(owner, "an owner"),
        origin=origin,
        author=by,
        authority=intake.authority,
        title=document.title,
        text=document.text,
        text_digest=text_digest(document.text),
        extracted_by=document.extracted_by,
        labels=tuple(sorted(intake.labels | proposal.labels)),
        collection=_check_name(
            intake.collection or proposal.collection or DEFAULT_COLLECTION, "a collection"
        ),
        facts=proposal.facts,
        valid_from_ms=proposal.valid_from_ms,
        valid_until_ms=proposal.valid_until_ms,
        passages=document.passages,
    )


def _check_name(text: str, what: str) -> str:
    if not is_valid_id(text):
        raise ImportRefused(
            f"{text[:60]!r} cannot name {what}: use 1 to 63 lower-case letters, digits, dots, dashes"
            " or underscores."
        )
    return text


def _check_claim(draft: Draft, latest: Latest, name: str, *, derived: bool) -> None:
    """Whether this import may add a version to a source that exists."""
    if draft.owner != latest.owner:
        raise ImportRefused(
            f"The source {draft.source!r} belongs to {latest.owner}, not to {draft.owner};"
            f" name its owner if you act for them, or give {name} another id."
        )
    if derived and draft.origin != latest.origin:
        raise ImportRefused(
            f"The source {draft.source!r} came from {latest.origin}, and {name} would take its id by its file"
            " name alone; say that it is the same source by naming the id, or give it another one."
        )


def _record(tx: Transaction, draft: Draft, *, new_source: bool) -> None:
    tx.execute(
        version_status.insert().values(
            tenant=draft.tenant,
            source=draft.source,
            version=draft.version,
            status="draft",
            text_digest=draft.text_digest,
            author=draft.author,
            valid_from_ms=draft.valid_from_ms,
            valid_until_ms=draft.valid_until_ms,
            since_ms=tx.now_ms,
        )
    )
    if new_source:
        proposed: JsonObject = {"source": draft.source, "owner": draft.owner, "origin": draft.origin}
        tx.append(Entry("source.proposed", draft.tenant, proposed, principal=draft.author))
    tx.append(Entry("version.drafted", draft.tenant, draft.as_json(), principal=draft.author))


def _versions(reading: Reading, draft: Draft) -> Sequence[AnyRow]:
    mine = (version_status.c.tenant == draft.tenant) & (version_status.c.source == draft.source)
    return reading.all(version_status.select().where(mine).order_by(version_status.c.version))


def _imported(draft: Draft, outcome: Literal["new", "changed", "unchanged"], document: Document) -> Imported:
    return Imported(
        id=ProvenanceId(draft.source, draft.version),
        outcome=outcome,
        title=draft.title,
        passages=len(draft.passages),
        text_digest=draft.text_digest,
        ignored=document.proposal.ignored,
    )


def _slug(name: str) -> str:
    """A source id from a file's name: `Returns & Refunds.md` gives `returns-refunds`."""
    plain = unicodedata.normalize("NFKD", PurePath(name).stem).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9._]+", "-", plain).strip("-._")[:100].strip("-._")
    if not slug:
        raise ImportRefused(f"The name of {name} gives no id; name one, or write `id:` in its front matter.")
    return slug


def _within(by: str, source_id: str, name: str) -> str:
    return check_source_id(source_id if source_id.startswith(f"{by}.") else f"{by}.{source_id}", name)
