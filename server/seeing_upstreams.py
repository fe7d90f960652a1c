"""What a server does when it sees an upstream's tools, or sees that they changed: offer anew, say so, log it.

Whoever waits for a change of what is listed follows the log: `upstream.changed` stands there whenever what
one upstream offers is not what it was, and when a start finds tools that are not as they were accepted.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from ledger.canonical import JsonObject
from ledger.entries import WHOLE_FOLDER, Entry
from ledger.errors import LedgerError
from ledger.ledger import Ledger
from tool_scopes.catalogue import Catalogue
from tool_scopes.offering import Offering
from tool_scopes.upstream.fleet import Upstreams
from tool_scopes.upstream.session import Upstream

logger = logging.getLogger(__name__)


class SeenUpstreams:
    """Keeps an offering up to date, for as long as one server runs."""

    def __init__(self, offering: Offering, ledger: Ledger) -> None:
        self._offering = offering
        self._ledger = ledger
        self._told: Mapping[str, str] = {}
        self._started = False

    async def see(self, upstream: Upstream) -> None:
        """This upstream's tools are new, or not what they were."""
        if not self._offering.take(upstream.name, upstream.tools):
            return
        self._warn(self._offering.held_back)
        differs = self._offering.changed(upstream.name, upstream.tools)
        if not self._started and not differs:
            return
        views = self._offering.tools.values()
        body: JsonObject = {
            "upstream": upstream.name,
            "endpoint": upstream.endpoint,
            "offered": sum(tool.view.upstream == upstream.name for tool in views),
            "differs": dict(differs),
        }
        try:
            await self._ledger.append(Entry("upstream.changed", WHOLE_FOLDER, body))
        except LedgerError as error:
            # The tools are held back all the same.
            logger.error("a change of upstream %s could not be logged: %s", upstream.name, error)

    def all_started(self, catalogue: Catalogue, upstreams: Upstreams) -> None:
        """Every upstream is ready or has failed once: say which views are not there because of that."""
        self._started = True
        self._warn({**self._offering.held_back, **absent(catalogue, upstreams, self._offering)})

    def _warn(self, held_back: Mapping[str, str]) -> None:
        new = {view: why for view, why in held_back.items() if self._told.get(view) != why}
        back = [view for view in self._told if view in self._offering.tools]
        self._told = dict(held_back)
        for why in dict.fromkeys(new.values()):
            logger.warning("not offered: %s; %s", ", ".join(v for v in new if new[v] == why), why)
        if back:
            logger.warning("offered again: %s", ", ".join(back))


def absent(catalogue: Catalogue, upstreams: Mapping[str, object], offering: Offering) -> Mapping[str, str]:
    """The views of upstreams that were never ready, with why."""
    return {
        view.name: str(failure)
        for name in catalogue.upstreams
        if (failure := getattr(upstreams.get(name), "failure", None)) is not None
        for view in catalogue.views_of(name)
        if not view.hidden and view.name not in offering.tools and view.name not in offering.held_back
    }
