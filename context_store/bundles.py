"""Bundles: the frozen evidence for one need.

Built from the store, named by its bytes, recorded before it leaves.

The same need under the same grant, on the same release, gives the same bytes for as long as the same versions
are in force.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast

from context_store.conflicts import Conflict, declared_conflicts, spoken_conflicts
from context_store.grants import ReadGrant
from context_store.head import head_release
from context_store.items import Item, passages_at, pinned_items, validity, was_in_force
from context_store.meaning import ranked_by_meaning
from context_store.reach import Reach
from context_store.search import Hit, evidence_among, lexical, search
from context_store.selection import RULE as SELECTION
from context_store.selection import LeftOut, Selection, select
from context_store.statements import RULE as STATEMENTS
from context_store.store import KnowledgeStore
from context_store.tables import bundle_versions, bundles, bundles_shown
from context_store.units import Unit, weigh
from context_store.withheld import withheld_for_access
from ledger.canonical import JsonObject, canonical, parse_strict
from ledger.entries import Entry, RestsOn
from ledger.transaction import Reading, Transaction

Sufficiency = Literal["sufficient", "insufficient", "contradictory", "stale"]
"""Enough to go on; nothing relevant; sources in force disagree; or what is relevant is no longer in force."""

MOST_WEIGHED: Final = 24
"""How many passages are read and divided into what can be shown."""

MAX_LEFT_OUT: Final = 100
"""How many things left out the log names for one bundle; it says how many there were."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that was built, and beside its bytes what only admins may see: `left_out`."""

    tenant: str
    need: str
    release: int
    items: tuple[Item, ...]
    conflicts: tuple[Conflict, ...]
    sufficiency: Sufficiency
    budget: int
    used: int
    counter: str
    retrieved_with: JsonObject
    left_out: tuple[LeftOut, ...]

    def as_json(self) -> JsonObject:
        """What is served: the content of the canonical bytes."""
        begins = [item.valid_from_ms for item in self.items if item.valid_from_ms is not None]
        ends = [item.valid_until_ms for item in self.items if item.valid_until_ms is not None]
        return {
            "v": 1,
            "need": self.need,
            "release": self.release,
            "tenant": self.tenant,
            "items": [item.as_json() for item in self.items],
            "conflicts": [conflict.as_json() for conflict in self.conflicts],
            "sufficiency": self.sufficiency,
            "budget": {"tokens": self.budget, "used": self.used, "counter": self.counter},
            "valid": validity(max(begins, default=None), min(ends, default=None)),
            "retrieved_with": self.retrieved_with,
        }

    def as_bytes(self) -> bytes:
        """The canonical bytes (RFC 8785)."""
        return canonical(self.as_json())

    @property
    def digest(self) -> str:
        """`sha256:…` of the canonical bytes."""
        return bundle_digest(self.as_bytes())

    @property
    def id(self) -> str:
        """`bnd_` and the first 40 hex digits of the digest."""
        return bundle_id(self.digest)


def bundle_digest(raw: bytes) -> str:
    """`sha256:…` of a bundle's bytes."""
    return "sha256:" + hashlib.sha256(raw).hexdigest()


def bundle_id(digest: str) -> str:
    """The id of the bundle with this digest."""
    return "bnd_" + digest.removeprefix("sha256:")[:40]


def build_bundle(
    store: KnowledgeStore,
    reading: Reading,
    grant: ReadGrant,
    need: str,
    *,
    pinned: Sequence[str] = (),
    budget: int,
    now_ms: int,
    as_of: int | None = None,
) -> Bundle:
    """The evidence for a need at `now_ms`, from what the grant covers.

    `pinned` names sources, versions or spans that are always in (see `pinned_items`); `budget` is in tokens
    by the store's counter. An empty need asks for the pinned items only. Nothing is recorded yet:
    `record_bundle` before it is shown. `as_of` takes the library as it was in another release, or as it would
    be in a candidate: for people who examine it, never for a run. Raises `NeedRefused` when the need is too
    long.
    """
    head = head_release(reading, grant.tenant) if as_of is None else as_of
    reaches = store.reach(grant, head, now_ms, fresh=as_of is not None)
    current = reaches.current
    with store.reading() as cursor:
        pins = [(pin, pinned_items(cursor, current, grant, pin)) for pin in dict.fromkeys(pinned)]
        firm = [item for _, items in pins for item in items]
        meant = ranked_by_meaning(store, cursor, current, need)
        hits = evidence_among(search(current, need, meant=meant.ranking))
        at = passages_at(cursor, current, [(hit.key, hit.ordinal) for hit in hits[:MOST_WEIGHED]])
        found = [(hit, at[hit.key, hit.ordinal]) for hit in hits[:MOST_WEIGHED]]
        units = weigh(current, need, found)
        declared = declared_conflicts(cursor, current, [*firm, *(passage for _, passage in found)])
        conflicts = (*declared, *spoken_conflicts([*_pinned_units(current, need, firm), *units]))
        selection = select(firm, conflicts, units, at.__getitem__, budget, store.counter)
        missing = [pin for pin, items in pins if not items]
        stale = any(was_in_force(cursor, reaches.former, grant, pin) for pin in missing) or (
            not found and bool(evidence_among(search(reaches.former, need)))
        )
        # Whoever examines a release chose the labels; a receipt is for what a run was shown.
        withheld = () if as_of else withheld_for_access(store, cursor, grant, head, need, now_ms, current)
    return Bundle(
        tenant=grant.tenant,
        need=need,
        release=min(grant.release, head),
        items=selection.items,
        conflicts=conflicts,
        sufficiency=_sufficiency(need, conflicts, selection, missing, stale=stale),
        budget=budget,
        used=selection.used,
        counter=store.counter.name,
        retrieved_with={"selection": SELECTION, "statements": STATEMENTS, **lexical(), **meant.as_json()},
        left_out=(*(LeftOut(pin, "not_in_force") for pin in missing), *selection.left_out, *withheld),
    )


def _pinned_units(reach: Reach, need: str, pinned: Sequence[Item]) -> list[Unit]:
    """What pinned items say, to be compared with the rest: a pin is evidence like any other."""
    strong = [
        (Hit(*item.place, item.id.source, item.id.version, 1.0, 1.0, answers=True, related=True), item)
        for item in pinned
    ]
    return weigh(reach, need, strong)


def record_bundle(tx: Transaction, bundle: Bundle, grant: ReadGrant) -> str:
    """Store a bundle's bytes and note that the grant's run is shown it; returns its id.

    The grant must be that of a step of a run (`run`, `step` and `epoch` are set). Doing it twice is harmless;
    each showing is logged.
    """
    if grant.run is None or grant.step is None or grant.epoch is None or grant.tenant != bundle.tenant:
        raise ValueError("A bundle is shown to a step of a run of its own tenant.")
    raw, digest, name = bundle.as_bytes(), bundle.digest, bundle.id
    if tx.one(bundles.select().where(bundles.c.bundle == name)) is None:
        _store(tx, bundle, name, digest, raw)
    left_out: list[JsonObject] = [{"id": left.id, "why": left.why} for left in bundle.left_out[:MAX_LEFT_OUT]]
    receipt: JsonObject = {"left_out": [*left_out], "left_out_count": len(bundle.left_out)}
    _record(tx, bundle.as_json(), name, digest, grant, receipt)
    return name


def record_showing(tx: Transaction, raw: bytes, grant: ReadGrant) -> str:
    """Note that the grant's run is shown a stored bundle again; returns its id. `raw` is as it was stored."""
    body = parse_strict(raw, max_bytes=len(raw))
    if grant.run is None or not isinstance(body, dict):
        raise ValueError("A stored bundle is shown again to a step of a run.")
    digest = bundle_digest(raw)
    _record(tx, body, bundle_id(digest), digest, grant, {"again": True})
    return bundle_id(digest)


def _record(
    tx: Transaction, body: JsonObject, name: str, digest: str, grant: ReadGrant, receipt: JsonObject
) -> None:
    """What the log keeps of a showing: what was shown by id, and what was left out and why."""
    c = bundles_shown.c
    showing = {"run": grant.run, "bundle": name, "step": grant.step, "epoch": grant.epoch}
    before = bundles_shown.select().where(
        (c.run == grant.run) & (c.bundle == name) & (c.step == grant.step) & (c.epoch == grant.epoch)
    )
    if tx.one(before) is None:
        tx.execute(bundles_shown.insert().values(**showing, at_ms=tx.now_ms))
    items = cast("list[JsonObject]", body["items"])
    quoted = [str(place) for item in items for place in (item["id"], *cast("list[str]", item["also"]))]
    tokens = cast("JsonObject", body["budget"])
    entry: JsonObject = {
        "bundle": name,
        "digest": digest,
        "step": grant.step,
        "epoch": grant.epoch,
        "release": body["release"],
        "sufficiency": body["sufficiency"],
        "items": [item["id"] for item in items],
        "tokens": {"budget": tokens["tokens"], "used": tokens["used"]},
        **receipt,
    }
    edges = [RestsOn(name, "quotes", place) for place in quoted]
    tx.append(
        Entry(
            "bundle.served",
            grant.tenant,
            entry,
            principal=grant.principal,
            run=grant.run,
            rests_on=(*edges, RestsOn(str(grant.run), "was_shown", name)),
        )
    )


def _sufficiency(
    need: str, conflicts: Sequence[Conflict], selection: Selection, missing: Sequence[str], *, stale: bool
) -> Sufficiency:
    if conflicts:
        return "contradictory"
    if stale:
        return "stale"
    answered = selection.answered if need.strip() else bool(selection.items)
    return "sufficient" if answered and not missing else "insufficient"


def _store(tx: Transaction, bundle: Bundle, name: str, digest: str, raw: bytes) -> None:
    tx.execute(
        bundles.insert().values(
            bundle=name,
            tenant=bundle.tenant,
            digest=digest,
            release=bundle.release,
            sufficiency=bundle.sufficiency,
            bytes=raw,
        )
    )
    quoted = {(place.source, place.version) for item in bundle.items for place in (item.id, *item.also)}
    if quoted:
        tx.execute(
            bundle_versions.insert(),
            [
                {"bundle": name, "tenant": bundle.tenant, "source": source, "version": version}
                for source, version in sorted(quoted)
            ],
        )
