"""Curation as operations: sources come in as drafts, are handed in, reviewed, and published as releases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from context_store.curation import Status, review, submit
from context_store.duplicates import Duplicate, find_duplicates
from context_store.grants import CurationGrant
from context_store.impact import impact_of
from context_store.meaning import embed, lacking_vectors
from context_store.provenance import ProvenanceId
from context_store.releases import Release, publish, retire, supersede
from context_store.sources import (
    SourceListed,
    VersionShown,
    accepted_versions,
    diff_versions,
    list_sources,
    newest_version,
    show_version,
)
from ledger.canonical import JsonObject, JsonValue
from ledger.clock import rfc3339
from ledger.transaction import Reading
from policies.principals import Person
from policies.tables import approval_requests
from server.errors import BadInput
from server.operations.imports import duplicates_as_json
from server.operations.operation import Arguments, NoArguments, Operation, OperationDesk
from tool_scopes.tables import executions

VersionText = Annotated[str, Field(max_length=200)]


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
    reason: str = Field(default="", max_length=2_000)


class SubmitVersion(OneVersion):
    """A draft that is handed in, and why."""

    reason: str = Field(default="", max_length=2_000)


class TwoVersions(Arguments):
    """A version, and the one it is compared with: by default the one before it."""

    version: VersionText
    before: VersionText | None = None


class Retire(Arguments):
    """A source that goes out of force, and why."""

    source: VersionText
    reason: str = Field(default="", max_length=2_000)


class Supersede(Retire):
    """A source that goes out of force because another one takes its place."""

    successor: VersionText


def _list(desk: OperationDesk, person: Person, _given: NoArguments) -> JsonObject:
    return {"sources": [_listed(source) for source in _sources(desk, person)]}


def _show(desk: OperationDesk, person: Person, given: OneVersion) -> JsonObject:
    shown = _version(desk, person, given.version)
    return {**_shown(shown), "duplicates": duplicates_as_json(_alike(desk, person, shown.status.id))}


def _diff(desk: OperationDesk, person: Person, given: TwoVersions) -> JsonObject:
    after = _version(desk, person, given.version)
    number = after.status.id.version
    if given.before is None and number == 1:
        raise BadInput(f"{after.status.id} is the first version; `bailiwick source show` shows it whole.")
    before = _version(desk, person, given.before or f"{after.status.id.source}@{number - 1}")
    return {
        "before": str(before.status.id),
        "after": str(after.status.id),
        "lines": list[JsonValue](diff_versions(before, after)),
        "duplicates": duplicates_as_json(_alike(desk, person, after.status.id)),
    }


def _alike(desk: OperationDesk, person: Person, version: ProvenanceId) -> Sequence[Duplicate]:
    with desk.store.reading() as cursor:
        found = find_duplicates(cursor, CurationGrant(person.tenant, person.id), [version])
    return found.get(version, ())


def _submit(desk: OperationDesk, person: Person, given: SubmitVersion) -> JsonObject:
    version = _version(desk, person, given.version).status.id
    return _status(
        desk.ledger.transact_now(
            lambda tx: submit(tx, person.tenant, version, person.id, reason=given.reason)
        )
    )


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
    wanted = wanted_versions(desk, person, given.versions)
    # Before the release, so that one release is searched in one way from its first moment on.
    embed(desk.store, lacking_vectors(desk.store, person.tenant, [version.source for version in wanted]))
    return release_as_json(
        publish(desk.store, desk.ledger, person.tenant, wanted, person.id, reason=given.reason)
    )


def wanted_versions(desk: OperationDesk, person: Person, named: Sequence[str]) -> list[ProvenanceId]:
    """The versions that a person names for a release; none named means all that were accepted."""
    if named:
        return [_version(desk, person, text).status.id for text in named]
    return desk.ledger.read(lambda reading: accepted_versions(reading, person.tenant))


def _retire(desk: OperationDesk, person: Person, given: Retire) -> JsonObject:
    return release_as_json(
        retire(desk.store, desk.ledger, person.tenant, given.source, person.id, reason=given.reason)
    )


def _supersede(desk: OperationDesk, person: Person, given: Supersede) -> JsonObject:
    return release_as_json(
        supersede(
            desk.store,
            desk.ledger,
            person.tenant,
            given.source,
            given.successor,
            person.id,
            reason=given.reason,
        )
    )


def _impact(desk: OperationDesk, person: Person, given: OneVersion) -> JsonObject:
    version = _version(desk, person, given.version).status.id
    named = ProvenanceId.parse(given.version)
    cited = version if named is None or named.span is None else version.at(*named.span)
    grant = CurationGrant(person.tenant, person.id)

    def look(reading: Reading) -> JsonObject:
        found = impact_of(reading, grant, cited)
        states = {
            row.id: str(row.state)
            for some in _chunks(found.requests)
            for row in reading.all(approval_requests.select().where(approval_requests.c.id.in_(some)))
        }
        outcomes = {
            row.id: str(row.state)
            for some in _chunks(found.executions)
            for row in reading.all(executions.select().where(executions.c.id.in_(some)))
        }
        return {
            "id": str(cited),
            "bundles": list[JsonValue](found.bundles),
            "runs": list[JsonValue](found.runs),
            "envelopes": list[JsonValue](found.envelopes),
            "approvals": [{"id": name, "state": states.get(name)} for name in found.requests],
            "executions": [{"id": name, "state": outcomes.get(name)} for name in found.executions],
        }

    return desk.ledger.read(look)


def _chunks(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[at : at + 500] for at in range(0, len(names), 500)]


def _sources(desk: OperationDesk, person: Person) -> list[SourceListed]:
    grant = CurationGrant(person.tenant, person.id)
    return desk.ledger.read(lambda reading: list_sources(desk.store, reading, grant))


def _version(desk: OperationDesk, person: Person, text: str) -> VersionShown:
    """The version that a person names; `BadInput` when the tenant has none of that id."""
    named = ProvenanceId.parse(text)
    if named is None:
        named = desk.ledger.read(lambda reading: newest_version(reading, person.tenant, text))
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
        "superseded_by": status.superseded_by,
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


def release_as_json(release: Release) -> JsonObject:
    """A release as operations give it."""
    return {
        "release": release.number,
        "at": rfc3339(release.at_ms),
        "published_by": release.published_by,
        "added": [str(version) for version in release.added],
        "superseded": [str(version) for version in release.superseded],
        "retired": [str(version) for version in release.retired],
    }


OPERATIONS = (
    Operation("source.list", NoArguments, "person", _list, "store", logged=False),
    Operation("source.show", OneVersion, "person", _show, "store"),
    Operation("source.diff", TwoVersions, "person", _diff, "store"),
    Operation("source.submit", SubmitVersion, "proposer", _submit, "store", _source_of),
    Operation("source.review", ReviewVersion, "curator", _review, "store", _source_of),
    Operation("source.publish", Publish, "curator", _publish, "store"),
    Operation("source.supersede", Supersede, "curator", _supersede, "store", lambda given: given.source),
    Operation("source.retire", Retire, "curator", _retire, "store", lambda given: given.source),
    Operation("source.impact", OneVersion, "person", _impact, "store"),
)
