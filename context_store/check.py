"""The store's own check: does DuckDB hold exactly what the ledger says was drafted, reviewed and published?

Texts live outside the signed log, but their digests stand in it. So whoever edits the store's file behind our
back changes a text that no longer has the digest which its reviewers accepted.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from context_store.curation import spoken
from context_store.head import head_release
from context_store.provenance import ProvenanceId
from context_store.store import KnowledgeStore
from context_store.tables import version_status
from ledger.canonical import text_digest
from ledger.ledger import Ledger
from ledger.transaction import AnyRow, Reading

_Key = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class StoreReport:
    """What was looked at, and one sentence for each thing that is wrong; whole when there is none."""

    versions: int
    passages: int
    problems: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def check_store(store: KnowledgeStore, ledger: Ledger) -> StoreReport:
    """Compare every version's text, status and passages with the ledger.

    Reads everything: for `doctor`, not for a request.
    """
    with store.curating:
        logged = _logged_digests(ledger)
        rows, heads = ledger.read(_statuses)
        with store.reading(limit_s=None) as cursor:
            texts = {
                (tenant, source, version): (text_digest(text), published_in, withdrawn_in)
                for tenant, source, version, text, published_in, withdrawn_in in cursor.execute(
                    _TEXTS
                ).fetchall()
            }
            strays = cursor.execute(_BAD_PASSAGES).fetchall()
            counted = cursor.execute("SELECT count(*) FROM passages").fetchone()
    problems = [problem for row in rows for problem in _problems(row, texts, logged)]
    known = {_key(row) for row in rows}
    problems += [
        f"{_name(key)} is in the store, and the ledger does not know it."
        for key in sorted(texts.keys() - known)
    ]
    problems += [
        f"{_name(key)} counts from release {published_in}, which does not exist."
        for key, (_, published_in, _) in sorted(texts.items())
        if published_in is not None and published_in > heads.get(key[0], 0)
    ]
    problems += [f"{_name(row)} has passages that lie outside its text." for row in strays]
    return StoreReport(len(rows), int(counted[0]) if counted else 0, tuple(problems))


def _logged_digests(ledger: Ledger) -> dict[_Key, str]:
    found: dict[_Key, str] = {}
    for entry in ledger.entries(kinds=["version.drafted"]):
        match entry.body:
            case {"source": str(source), "version": int(version), "text_digest": str(digest)}:
                found[entry.tenant, source, version] = digest
            case _:
                continue
    return found


def _statuses(reading: Reading) -> tuple[list[AnyRow], dict[str, int]]:
    c = version_status.c
    rows = reading.all(version_status.select().order_by(c.tenant, c.source, c.version))
    return rows, {tenant: head_release(reading, tenant) for tenant in sorted({row.tenant for row in rows})}


def _problems(
    row: AnyRow, texts: dict[_Key, tuple[str, int | None, int | None]], logged: dict[_Key, str]
) -> Iterable[str]:
    key = _key(row)
    if key not in texts:
        yield f"{_name(key)} is {spoken(row.status)} in the ledger, and its text is missing from the store."
        return
    digest, published_in, withdrawn_in = texts[key]
    if digest != logged.get(key):
        yield f"The text of {_name(key)} is not the one that was imported: its digest differs from the log's."
    if row.text_digest != logged.get(key):
        yield f"The status of {_name(key)} names another text than the log does."
    if (published_in, withdrawn_in) != (row.published_in, row.withdrawn_in):
        yield f"The store and the ledger disagree about the releases of {_name(key)}."


def _key(row: AnyRow) -> _Key:
    return row.tenant, row.source, row.version


def _name(key: _Key) -> str:
    tenant, source, version = key
    return f"{ProvenanceId(source, version)} of {tenant}"


_TEXTS = """
SELECT v.tenant, v.source, v.version, v.text, p.published_in, p.withdrawn_in
FROM versions v LEFT JOIN published p USING (key)
"""

_BAD_PASSAGES = """
SELECT DISTINCT v.tenant, v.source, v.version FROM passages p JOIN versions v USING (key)
WHERE p.span_start < 0 OR p.span_start >= p.span_end OR p.span_end > length(v.text) ORDER BY ALL
"""
