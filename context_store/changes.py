"""What a release would do: a wish, held against what the ledger knows, becomes a change or is refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from context_store.curation import spoken
from context_store.errors import CurationRefused
from context_store.head import head_release
from context_store.provenance import ProvenanceId
from context_store.tables import version_status
from ledger.canonical import JsonObject, JsonValue
from ledger.transaction import AnyRow, Reading

_CHUNK: Final = 500  # databases limit how many values one statement may name


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants a release to do: bring versions in, take sources out for good, and let a source be
    superseded by another one, as pairs of the old and the new.
    """

    added: tuple[ProvenanceId, ...] = ()
    retired: tuple[str, ...] = ()
    replaced: tuple[tuple[str, str], ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What a release will do.

    `digests` are those of the added texts, as they were reviewed; `superseded`, each with the version that
    takes its place, and `retired` go out.
    """

    tenant: str
    by: str
    number: int
    added: tuple[ProvenanceId, ...]
    digests: tuple[str, ...]
    superseded: tuple[tuple[ProvenanceId, ProvenanceId], ...]
    retired: tuple[ProvenanceId, ...]
    reason: str

    @property
    def withdrawn(self) -> tuple[ProvenanceId, ...]:
        """Every version that goes out."""
        return (*(old for old, _ in self.superseded), *self.retired)

    def as_json(self) -> JsonObject:
        """What the log keeps of it."""
        return {
            "release": self.number,
            "added": _texts(self.added),
            "superseded": _texts([old for old, _ in self.superseded]),
            "retired": _texts(self.retired),
            "reason": self.reason,
        }


def judge(reading: Reading, tenant: str, by: str, wish: Wish) -> Change:
    """What the release would do now; `CurationRefused` if it may not."""
    sources = {version.source for version in wish.added}
    if len(sources) != len(wish.added):
        raise CurationRefused("Two versions of one source cannot be in force together; publish one of them.")
    touched = {*sources, *wish.retired, *(source for pair in wish.replaced for source in pair)}
    rows = _rows_of(reading, tenant, sorted(touched))
    by_id = {ProvenanceId(row.source, row.version): row for row in rows}
    in_force = {
        row.source: ProvenanceId(row.source, row.version) for row in rows if row.status == "published"
    }
    for version in wish.added:
        _check_accepted(version, by_id.get(version), in_force.get(version.source))
    for source in (*wish.retired, *(old for old, _ in wish.replaced)):
        if source not in in_force:
            raise CurationRefused(
                f"No version of {source!r} is in force in this tenant,"
                " so there is nothing to retire or supersede."
            )
    for old, new in wish.replaced:
        if new not in in_force or new == old:
            raise CurationRefused(
                f"{old!r} can be superseded by another source in force, and {new!r} is none;"
                " publish it first."
            )
    newer = {version.source: version for version in wish.added}
    return Change(
        tenant=tenant,
        by=by,
        number=head_release(reading, tenant) + 1,
        added=wish.added,
        digests=tuple(by_id[version].text_digest for version in wish.added),
        superseded=(
            *((in_force[source], newer[source]) for source in sorted(sources) if source in in_force),
            *((in_force[old], in_force[new]) for old, new in sorted(wish.replaced)),
        ),
        retired=tuple(in_force[source] for source in sorted(wish.retired)),
        reason=wish.reason,
    )


def _rows_of(reading: Reading, tenant: str, sources: Sequence[str]) -> list[AnyRow]:
    c = version_status.c
    return [
        row
        for at in range(0, len(sources), _CHUNK)
        for row in reading.all(
            version_status.select().where((c.tenant == tenant) & c.source.in_(sources[at : at + _CHUNK]))
        )
    ]


def _check_accepted(version: ProvenanceId, row: AnyRow | None, in_force: ProvenanceId | None) -> None:
    if row is None:
        raise CurationRefused(f"There is no version {version}; list the sources to see what there is.")
    if row.status != "in_review" or row.reviewed_by is None:
        standing = "in review, but not accepted" if row.status == "in_review" else spoken(row.status)
        raise CurationRefused(
            f"{version} is {standing}; only a version that was reviewed and accepted can be published."
        )
    if in_force is not None and version < in_force:
        raise CurationRefused(
            f"{in_force} is in force and newer than {version}; import the text again to go back to it."
        )


def _texts(versions: Sequence[ProvenanceId]) -> list[JsonValue]:
    return [str(version) for version in versions]
