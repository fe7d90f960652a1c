"""Curation as operations: sources come in as drafts, are handed in, reviewed, and published as releases."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal

from pydantic import Field

from context_store.curation import Status, review, submit
from context_store.grants import CurationGrant
from context_store.importing import Intake, import_text
from context_store.meaning import embed, lacking_vectors
from context_store.provenance import ProvenanceId
from context_store.releases import Release, list_releases, publish
from context_store.sources import SourceListed, VersionShown, list_sources, show_version
from ledger.canonical import JsonObject, JsonValue
from ledger.clock import rfc3339
from policies.principals import Person
from server.errors import BadInput
from server.operations.operation import Arguments, NoArguments, Operation, OperationDesk

VersionText = Annotated[str, Field(max_length=200)]


class AddSource(Arguments):
    """A file as it was read: its name, where it lies, and its bytes in base64."""

    name: str = Field(min_length=1, max_length=255)
    origin: str = Field(min_length=1, max_length=2_000)
    content: str
    id: str | None = None
    owner: str | None = None
    labels: list[str] = Field(default_factory=list[str])
    collection: str | None = None
    authority: Literal["imported", "human"] = "imported"


class OneVersion(Arguments):
    """`policy-14@3`, or `policy-14` for its newest version."""

    version: VersionText


class ReviewVersion(OneVersion):
    """A judgement of one version in review."""

    verdict: Literal["accept", "send_back"]
    reason: str = Field(default="", max_length=2_000)


class Publish(Arguments):
    """The versions to publish; none means all that were accepted."""

    versions: list[VersionText] = Field(default_factory=list[str])


class OneRelease(Arguments):
    """A release by its number."""

    number: int = Field(ge=1)


def _add(desk: OperationDesk, person: Person, given: AddSource) -> JsonObject:
    try:
        raw = base64.b64decode(given.content, validate=True)
    except binascii.Error:
        raise BadInput(
            "The content of a source is sent in base64; use the command line of this version."
        ) from None
    intake = Intake(
        tenant=person.tenant,
        by=person.id,
        authority=given.authority,
        owner=given.owner,
        source_id=given.id,
        labels=frozenset(given.labels),
        collection=given.collection,
    )
    imported = import_text(desk.store, desk.ledger, raw, given.name, given.origin, intake)
    return {
        "id": str(imported.id),
        "outcome": imported.outcome,
        "title": imported.title,
        "passages": imported.passages,
        "text_digest": imported.text_digest,
        "ignored": list[JsonValue](imported.ignored),
    }


def _list(desk: OperationDesk, person: Person, _given: NoArguments) -> JsonObject:
    return {"sources": [_listed(source) for source in _sources(desk, person)]}


def _show(desk: OperationDesk, person: Person, given: OneVersion) -> JsonObject:
    return _shown(_version(desk, person, given.version))


def _submit(desk: OperationDesk, person: Person, given: OneVersion) -> JsonObject:
    version = _version(desk, person, given.version).status.id
    return _status(desk.ledger.transact_now(lambda tx: submit(tx, person.tenant, version, person.id)))


def _review(desk: OperationDesk, person: Person, given: ReviewVersion) -> JsonObject:
    version = _version(desk, person, given.version).status.id
    return _status(
        desk.ledger.transact_now(
            lambda tx: review(
                tx,
                person.tenant,
                version,
                person.id,
                given.verdict,
                reason=given.reason,
                identities=person.identities,
            )
        )
    )


def _publish(desk: OperationDesk, person: Person, given: Publish) -> JsonObject:
    if given.versions:
        wanted = [_version(desk, person, text).status.id for text in given.versions]
    else:
        wanted = [
            status.id
            for source in _sources(desk, person)
            for status in source.versions
            if status.status == "in_review" and status.reviewed_by is not None
        ]
    # Before the release, so that one release is searched in one way from its first moment on.
    embed(desk.store, lacking_vectors(desk.store, person.tenant, [version.source for version in wanted]))
    return _release(publish(desk.store, desk.ledger, person.tenant, wanted, person.id))


def _list_releases(desk: OperationDesk, person: Person, _given: NoArguments) -> JsonObject:
    found = desk.ledger.read(lambda reading: list_releases(reading, person.tenant))
    return {"releases": [_release(release) for release in found]}


def _show_release(desk: OperationDesk, person: Person, given: OneRelease) -> JsonObject:
    found = desk.ledger.read(lambda reading: list_releases(reading, person.tenant))
    for release in found:
        if release.number == given.number:
            return _release(release)
    raise BadInput(
        f"There is no release {given.number}; `bailiwick release list` shows those that there are."
    )


def _sources(desk: OperationDesk, person: Person) -> list[SourceListed]:
    grant = CurationGrant(person.tenant, person.id)
    return desk.ledger.read(lambda reading: list_sources(desk.store, reading, grant))


def _version(desk: OperationDesk, person: Person, text: str) -> VersionShown:
    """The version that a person names; `BadInput` when the tenant has none of that id."""
    named = ProvenanceId.parse(text)
    if named is None:
        newest = [source.versions[-1].id for source in _sources(desk, person) if source.source == text]
        named = newest[0] if newest else None
    grant = CurationGrant(person.tenant, person.id)
    whole = None if named is None else named.whole()
    found = (
        None
        if whole is None
        else desk.ledger.read(lambda reading: show_version(desk.store, reading, grant, whole))
    )
    if found is None:
        raise BadInput(f"There is no version {text}; `bailiwick source list` shows those that there are.")
    return found


def _source_of(given: OneVersion) -> str:
    return given.version.partition("@")[0]


def _status(status: Status) -> JsonObject:
    return {
        "id": str(status.id),
        "status": status.status,
        "author": status.author,
        "reviewed_by": status.reviewed_by,
        "published_in": status.published_in,
        "withdrawn_in": status.withdrawn_in,
        "valid_from": _time(status.valid_from_ms),
        "valid_until": _time(status.valid_until_ms),
        "since": rfc3339(status.since_ms),
        "text_digest": status.text_digest,
    }


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)


def _listed(source: SourceListed) -> JsonObject:
    return {
        "source": source.source,
        "owner": source.owner,
        "title": source.title,
        "labels": list[JsonValue](source.labels),
        "collection": source.collection,
        "versions": [_status(status) for status in source.versions],
    }


def _shown(version: VersionShown) -> JsonObject:
    return {
        **_status(version.status),
        "owner": version.owner,
        "origin": version.origin,
        "title": version.title,
        "authority": version.authority,
        "labels": list[JsonValue](version.labels),
        "collection": version.collection,
        "facts": list[JsonValue](version.facts),
        "extracted_by": version.extracted_by,
        "passages": version.passages,
        "text": version.text,
    }


def _release(release: Release) -> JsonObject:
    return {
        "release": release.number,
        "at": rfc3339(release.at_ms),
        "published_by": release.published_by,
        "added": [str(version) for version in release.added],
        "superseded": [str(version) for version in release.superseded],
        "retired": [str(version) for version in release.retired],
    }


OPERATIONS = (
    Operation("source.add", AddSource, "proposer", _add, "store", lambda given: given.id or given.name),
    Operation("source.list", NoArguments, "person", _list, "store", logged=False),
    Operation("source.show", OneVersion, "person", _show, "store"),
    Operation("source.submit", OneVersion, "proposer", _submit, "store", _source_of),
    Operation("source.review", ReviewVersion, "curator", _review, "store", _source_of),
    Operation("source.publish", Publish, "curator", _publish, "store"),
    Operation("release.list", NoArguments, "person", _list_releases, logged=False),
    Operation("release.show", OneRelease, "person", _show_release, logged=False),
)
