"""Bringing documents in as operations: one, or several together, each a draft or a refusal of its own."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Final, Literal

from pydantic import Field

from context_store.duplicates import Duplicate
from context_store.errors import ImportRefused
from context_store.importing import Imported, import_many
from context_store.intake import Incoming, Intake
from ledger.canonical import JsonObject, JsonValue
from policies.principals import Person
from server.errors import BadInput
from server.operations.operation import Arguments, Operation, OperationDesk

MAX_TOGETHER: Final = 100
"""How many files one operation brings in at most."""


class AddSource(Arguments):
    """A file as it was read: its name, where it lies, and its bytes in base64."""

    name: str = Field(min_length=1, max_length=500)
    origin: str = Field(min_length=1, max_length=2_000)
    content: str
    id: str | None = None
    owner: str | None = None
    labels: list[str] = Field(default_factory=list[str])
    collection: str | None = None
    authority: Literal["imported", "human"] = "imported"


class Document(Arguments):
    """A file as it was read: its name, where it lies, and its bytes in base64."""

    name: str = Field(min_length=1, max_length=500)
    origin: str = Field(min_length=1, max_length=2_000)
    content: str


class ImportSources(Arguments):
    """Several files that come in together, in the same way."""

    documents: list[Document] = Field(min_length=1, max_length=MAX_TOGETHER)
    owner: str | None = None
    labels: list[str] = Field(default_factory=list[str])
    collection: str | None = None
    authority: Literal["imported", "human"] = "imported"


def _add(desk: OperationDesk, person: Person, given: AddSource) -> JsonObject:
    incoming = Incoming(given.name, given.origin, _bytes(given.content))
    [outcome] = import_many(desk.store, desk.ledger, [incoming], _intake(person, given, given.id))
    if isinstance(outcome, ImportRefused):
        raise outcome
    return _imported(outcome)


def _import(desk: OperationDesk, person: Person, given: ImportSources) -> JsonObject:
    incoming = [Incoming(one.name, one.origin, _bytes(one.content)) for one in given.documents]
    outcomes = import_many(desk.store, desk.ledger, incoming, _intake(person, given, None))
    return {
        "documents": [
            {"name": one.name, "refused": str(outcome)}
            if isinstance(outcome, ImportRefused)
            else {"name": one.name, **_imported(outcome)}
            for one, outcome in zip(incoming, outcomes, strict=True)
        ]
    }


def _intake(person: Person, given: AddSource | ImportSources, source_id: str | None) -> Intake:
    return Intake(
        tenant=person.tenant,
        by=person.id,
        authority=given.authority,
        owner=given.owner,
        source_id=source_id,
        labels=frozenset(given.labels),
        collection=given.collection,
    )


def _bytes(content: str) -> bytes:
    try:
        return base64.b64decode(content, validate=True)
    except binascii.Error:
        raise BadInput(
            "The content of a source is sent in base64; use the command line of this version."
        ) from None


def _imported(imported: Imported) -> JsonObject:
    return {
        "id": str(imported.id),
        "outcome": imported.outcome,
        "title": imported.title,
        "passages": imported.passages,
        "text_digest": imported.text_digest,
        "ignored": list[JsonValue](imported.ignored),
        "duplicates": duplicates_as_json(imported.duplicates),
    }


def duplicates_as_json(found: Sequence[Duplicate]) -> list[JsonValue]:
    """Duplicates as operations give them."""
    return [{"id": str(one.id), "kind": one.kind, "share": one.share} for one in found]


OPERATIONS = (
    Operation("source.add", AddSource, "proposer", _add, "store", lambda given: given.id or given.name),
    Operation(
        "source.import", ImportSources, "proposer", _import, "store", lambda given: given.documents[0].name
    ),
)
