"""Releases as operations: what was published, how two differ, what the next would be; and files of them."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field

from context_store.bundles import Bundle, build_bundle
from context_store.contents import ReleaseDiff, diff_contents, exported_lines, release_contents
from context_store.grants import CurationGrant, ReadGrant
from context_store.head import head_release
from context_store.meaning import embed, lacking_vectors
from context_store.releases import Change, examine, list_releases
from context_store.sources import list_sources
from ledger.canonical import JsonObject
from ledger.transaction import Reading
from policies.principals import Person
from server.errors import BadInput
from server.new_file import writing_new
from server.operations.operation import Arguments, NoArguments, Operation, OperationDesk
from server.operations.sources import VersionText, release_as_json, wanted_versions


class OneRelease(Arguments):
    """A release by its number."""

    number: int = Field(ge=1)


class TwoReleases(Arguments):
    """Two releases; `after` is the newest one unless it is named."""

    before: int = Field(ge=0)
    after: int | None = Field(default=None, ge=1)


class Candidate(Arguments):
    """The versions that the next release would bring in; none means all that were accepted. With a need, what
    it would find is compared with what it finds now.
    """

    versions: list[VersionText] = Field(default_factory=list[str])
    need: str | None = Field(default=None, min_length=1, max_length=8_000)
    budget: int = Field(default=800, ge=50, le=20_000)


class Export(OneRelease):
    """A release, and the file on this machine that it is written to."""

    path: str = Field(min_length=1, max_length=4_000)


def _list(desk: OperationDesk, person: Person, _given: NoArguments) -> JsonObject:
    found = desk.ledger.read(lambda reading: list_releases(reading, person.tenant))
    return {"releases": [release_as_json(release) for release in found]}


def _show(desk: OperationDesk, person: Person, given: OneRelease) -> JsonObject:
    found = desk.ledger.read(lambda reading: list_releases(reading, person.tenant))
    for release in found:
        if release.number == given.number:
            return release_as_json(release)
    raise _unknown(given.number)


def _diff(desk: OperationDesk, person: Person, given: TwoReleases) -> JsonObject:
    def look(reading: Reading) -> JsonObject:
        head = head_release(reading, person.tenant)
        after = head if given.after is None else given.after
        for number in (given.before, after):
            if number > head:
                raise _unknown(number)
        held = [release_contents(reading, person.tenant, number) for number in (given.before, after)]
        return {"before": given.before, "after": after, **_difference(diff_contents(*held))}

    return desk.ledger.read(look)


def _candidate(desk: OperationDesk, person: Person, given: Candidate) -> JsonObject:
    wanted = wanted_versions(desk, person, given.versions)
    # As publishing does, so that now and then are searched in one way.
    embed(desk.store, lacking_vectors(desk.store, person.tenant, [version.source for version in wanted]))

    def look(change: Change) -> JsonObject:
        shown: JsonObject = {
            "release": change.number,
            "added": [str(version) for version in change.added],
            "superseded": [str(old) for old, _ in change.superseded],
        }
        if given.need is not None:
            now, then = (_found(desk, person, given, number) for number in (change.number - 1, change.number))
            shown["now"] = now.as_json()
            shown["then"] = then.as_json()
        return shown

    return examine(desk.store, desk.ledger, person.tenant, wanted, person.id, look)


def _found(desk: OperationDesk, person: Person, given: Candidate, number: int) -> Bundle:
    def look(reading: Reading) -> Bundle:
        return build_bundle(
            desk.store,
            reading,
            _everything(desk, reading, person, number),
            given.need or "",
            budget=given.budget,
            now_ms=desk.now_ms(),
            as_of=number,
        )

    return desk.ledger.read(look)


def _everything(desk: OperationDesk, reading: Reading, person: Person, release: int) -> ReadGrant:
    """A grant on all of the person's tenant in one release, for those who examine it."""
    sources = list_sources(desk.store, reading, CurationGrant(person.tenant, person.id))
    labels = frozenset(label for source in sources for label in source.labels)
    return ReadGrant(person.tenant, person.id, labels=labels, release=release)


def _export(desk: OperationDesk, person: Person, given: Export) -> JsonObject:
    grant, path = CurationGrant(person.tenant, person.id), Path(given.path)
    if given.number > desk.ledger.read(lambda reading: head_release(reading, person.tenant)):
        raise _unknown(given.number)
    with writing_new(path) as draft, draft.open("wb") as file:
        desk.ledger.read(
            lambda reading: file.writelines(exported_lines(desk.store, reading, grant, given.number))
        )
        file.flush()
        os.fsync(file.fileno())
    return {"release": given.number, "path": str(path), "bytes": path.stat().st_size}


def _difference(diff: ReleaseDiff) -> JsonObject:
    return {
        "added": [str(version) for version in diff.added],
        "removed": [str(version) for version in diff.removed],
        "changed": [[str(old), str(new)] for old, new in diff.changed],
    }


def _unknown(number: int) -> BadInput:
    return BadInput(f"There is no release {number}; `bailiwick release list` shows those that there are.")


OPERATIONS = (
    Operation("release.list", NoArguments, "person", _list, logged=False),
    Operation("release.show", OneRelease, "person", _show, logged=False),
    Operation("release.diff", TwoReleases, "person", _diff, logged=False),
    Operation("release.candidate", Candidate, "curator", _candidate, "store"),
    Operation("release.export", Export, "admin", _export, "store"),
)
