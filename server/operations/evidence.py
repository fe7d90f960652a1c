"""What people look up in the library: what a need would find, and a bundle as it was served."""

from __future__ import annotations

import json
from typing import cast

from pydantic import Field

from context_store.bundles import build_bundle
from context_store.grants import CurationGrant, ReadGrant
from context_store.head import head_release
from context_store.meaning import embed, lacking_vectors
from context_store.shown import check_quotes, read_bundle
from context_store.sources import list_sources
from ledger.canonical import JsonObject
from ledger.transaction import Reading
from policies.principals import Person
from server.errors import BadInput, Unavailable
from server.operations.operation import Arguments, Operation, OperationDesk


class Search(Arguments):
    """A need, as a step would have it. `budget` is in tokens; without labels, everything of the tenant is
    searched. `release` takes the library as it was then.
    """

    need: str = Field(min_length=1, max_length=8_000)
    budget: int = Field(default=800, ge=50, le=20_000)
    collections: list[str] = Field(default_factory=list[str])
    labels: list[str] | None = None
    release: int | None = Field(default=None, ge=1)


class Embed(Arguments):
    """How many versions to do at once, so that whoever asks can show progress."""

    most: int = Field(default=64, ge=1, le=1_000)


class OneBundle(Arguments):
    """A bundle by its id."""

    bundle: str = Field(max_length=80)


def _search(desk: OperationDesk, person: Person, given: Search) -> JsonObject:
    def look(reading: Reading) -> JsonObject:
        labels, head = given.labels, head_release(reading, person.tenant)
        if given.release is not None and given.release > head:
            raise BadInput(
                f"There is no release {given.release}; `bailiwick release list` shows those that there are."
            )
        if labels is None:
            sources = list_sources(desk.store, reading, CurationGrant(person.tenant, person.id))
            labels = [label for source in sources for label in source.labels]
        grant = ReadGrant(
            person.tenant,
            person.id,
            labels=frozenset(labels),
            collections=frozenset(given.collections) or None,
            release=head if given.release is None else given.release,
        )
        bundle = build_bundle(
            desk.store,
            reading,
            grant,
            given.need,
            budget=given.budget,
            now_ms=desk.now_ms(),
            as_of=given.release,
        )
        left_out: JsonObject = {"left_out": [{"id": left.id, "why": left.why} for left in bundle.left_out]}
        return bundle.as_json() | left_out

    return desk.ledger.read(look)


def _embed(desk: OperationDesk, person: Person, given: Embed) -> JsonObject:
    if desk.store.meaning is None:
        raise Unavailable("Search by meaning is not in use here; `bailiwick doctor` says why.")
    lacking = lacking_vectors(desk.store, person.tenant)
    embed(desk.store, lacking[: given.most])
    return {"done": min(len(lacking), given.most), "left": max(0, len(lacking) - given.most)}


def _verify_bundle(desk: OperationDesk, person: Person, given: OneBundle) -> JsonObject:
    grant = CurationGrant(person.tenant, person.id)
    raw = desk.ledger.read(lambda reading: read_bundle(reading, grant, given.bundle))
    if raw is None:
        raise BadInput(f"There is no bundle {given.bundle}; `bailiwick run trace RUN` names those of a run.")
    found = desk.ledger.read(lambda reading: check_quotes(desk.store, reading, grant, raw, desk.now_ms()))
    return {"bundle": given.bundle, "quotes": [*found]}


def _show_bundle(desk: OperationDesk, person: Person, given: OneBundle) -> JsonObject:
    grant = CurationGrant(person.tenant, person.id)
    raw = desk.ledger.read(lambda reading: read_bundle(reading, grant, given.bundle))
    if raw is None:
        raise BadInput(f"There is no bundle {given.bundle}; `bailiwick run trace RUN` names those of a run.")
    return {"bundle": given.bundle, **cast("JsonObject", json.loads(raw))}


OPERATIONS = (
    Operation("search", Search, "person", _search, "store"),
    Operation("bundle.show", OneBundle, "person", _show_bundle),
    Operation("bundle.verify", OneBundle, "person", _verify_bundle, "store"),
    Operation("search.embed", Embed, "curator", _embed, "store"),
)
