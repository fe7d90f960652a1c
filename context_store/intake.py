"""How a text comes in, and what the channel makes of what it says about itself.

The channel outranks the document. Who imports, with which authority and under which labels is said by the
`Intake`; front matter only proposes within it: it cannot take another owner's id, nor widen access.
"""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Literal

from context_store.drafts import Draft, Latest, bytes_digest
from context_store.errors import ImportRefused
from context_store.extract import Document
from context_store.front_matter import check_source_id
from ledger.canonical import text_digest
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
class Incoming:
    """Bytes that come in as if they stood in a file called `name`; `origin` is the URI that the source is
    recorded under.
    """

    name: str
    origin: str
    raw: bytes


def settle(document: Document, incoming: Incoming, intake: Intake) -> Draft:
    """The draft under the rules of the channel, before its version is known."""
    name, proposal = incoming.name, document.proposal
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
        origin=incoming.origin,
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
        raw_digest=bytes_digest(incoming.raw),
    )


def _check_name(text: str, what: str) -> str:
    if not is_valid_id(text):
        raise ImportRefused(
            f"{text[:60]!r} cannot name {what}: use 1 to 63 lower-case letters, digits, dots, dashes"
            " or underscores."
        )
    return text


def check_claim(draft: Draft, latest: Latest, name: str, *, derived: bool) -> None:
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


def _slug(name: str) -> str:
    """A source id from a file's name: `Returns & Refunds.md` gives `returns-refunds`, and in a folder
    `fees/Late.md` gives `fees-late`.
    """
    plain = (
        unicodedata.normalize("NFKD", str(PurePosixPath(name).with_suffix("")))
        .encode("ascii", "ignore")
        .decode()
        .lower()
    )
    slug = re.sub(r"[^a-z0-9._]+", "-", plain).strip("-._")[:100].strip("-._")
    if not slug:
        raise ImportRefused(f"The name of {name} gives no id; name one, or write `id:` in its front matter.")
    return slug


def _within(by: str, source_id: str, name: str) -> str:
    return check_source_id(source_id if source_id.startswith(f"{by}.") else f"{by}.{source_id}", name)
