"""Where a quote stands in what one run was shown: its observations, and what its bundles quote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anyio import to_thread

from context_store.provenance import OBSERVATION_PREFIX, ProvenanceId
from context_store.quotes import locate, locate_quote
from context_store.shown import was_shown
from ledger.canonical import JsonValue
from ledger.clock import system_now_ms
from ledger.transaction import Reading
from policies.codes import Denial
from tool_scopes.grants import grant_of_run
from tool_scopes.house import Answer, Caller, House
from tool_scopes.observations import find_observation
from tool_scopes.refusals import Refused, refuse
from tool_scopes.standing import Standing, stand


@dataclass(frozen=True, slots=True)
class QuoteFinder:
    """Finds quotes for one run. Blocks for look-ups in the store, so an event loop calls it in a thread."""

    house: House
    standing: Standing

    def find(self, source: str, quote: str) -> str | None:
        """The exact provenance id of `quote` within `source`, or None."""
        cited = ProvenanceId.parse(source)
        if cited is None:
            return None
        return self.house.ledger.read(lambda reading: self._find(reading, cited, quote))

    def _find(self, reading: Reading, cited: ProvenanceId, quote: str) -> str | None:
        run = self.standing.run
        if cited.source.startswith(OBSERVATION_PREFIX):
            observation = find_observation(reading, run.id, cited)
            place = locate_quote(observation.text, quote, cited.span) if observation else None
            return None if place is None else str(cited.at(*place))
        if not was_shown(reading, run.id, cited):
            return None
        grant = grant_of_run(self.house, self.standing)
        found = locate(self.house.store, reading, grant, cited, quote, system_now_ms())
        return None if found is None else str(found)


async def verify_quotes(
    house: House, caller: Caller, run_id: str | None, quotes: Sequence[tuple[str, str]]
) -> Answer | Refused:
    """Where each quote stands exactly, or null: the check of submit_step, without counting a retry."""
    standing = house.ledger.read(lambda reading: stand(house, reading, caller, run_id))
    if isinstance(standing, Denial):
        return await refuse(house, caller, None, "verify_quotes", standing)
    finder = QuoteFinder(house, standing)
    await house.ledger.settled()  # what was just answered can be quoted
    found = await to_thread.run_sync(lambda: [finder.find(source, quote) for source, quote in quotes])
    return Answer("done", {"found": list[JsonValue](found)})
