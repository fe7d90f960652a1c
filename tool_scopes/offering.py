"""What all views come to at this moment: the tools that can be offered, and why others are held back.

It follows the upstreams. One that starts late brings its tools when it is there; a tool that is not as it was
accepted any more is gone at once, from every list and for every call. An upstream that is merely down keeps
its tools in the lists: a call says that it is unavailable, and the lists stay as they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

from tool_scopes.catalogue import Catalogue, View
from tool_scopes.upstream.tools import UpstreamTool
from tool_scopes.views import Offer, ViewTool, build_view, differences, offer_views


class Offering:
    """The offer of every upstream of one catalogue. `take` is told what an upstream lists."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._offers: dict[str, Offer] = {}
        self._built: dict[str, tuple[UpstreamTool, ViewTool]] = {}
        self.tools: Mapping[str, ViewTool] = {}
        """Every view that can be used now. It is replaced as a whole and never changed, so that whoever holds
        it can tell whether it is still the one of now."""
        self.held_back: Mapping[str, str] = {}
        """Why other views of the upstreams that were seen cannot be used, each with what the admin can do."""

    def take(self, upstream: str, tools: Mapping[str, UpstreamTool]) -> bool:
        """From now on `upstream` has these tools; whether that changed what is offered or held back."""
        views = self._catalogue.views_of(upstream)
        endpoint = self._catalogue.upstreams[upstream].endpoint
        before = self._offers.get(upstream)
        now = self._offers[upstream] = offer_views(views, endpoint, tools, self._build)
        if before is not None and _same(before, now):
            return False
        self.tools = dict(chain.from_iterable(offer.tools.items() for offer in self._offers.values()))
        self.held_back = dict(
            chain.from_iterable(offer.quarantined.items() for offer in self._offers.values())
        )
        return True

    def changed(self, upstream: str, tools: Mapping[str, UpstreamTool]) -> Mapping[str, str | None]:
        """Which accepted tools of `upstream` are not what was accepted: tool → the fingerprint of now."""
        entry = self._catalogue.upstreams[upstream]
        return differences(self._catalogue.views_of(upstream), entry.endpoint, tools)

    def _build(self, view: View, tool: UpstreamTool) -> ViewTool:
        """Built once for each definition: to compile the schemas of a long list anew would hold others up."""
        known = self._built.get(view.name)
        if known is not None and known[0] == tool:
            return known[1]
        made = build_view(view, tool)
        self._built[view.name] = (tool, made)
        return made


def _same(one: Offer, other: Offer) -> bool:
    """Writes with facts are put together anew each time, so they count as the tools that they are over."""
    return one.quarantined == other.quarantined and {
        name: tool.validator for name, tool in one.tools.items()
    } == {name: tool.validator for name, tool in other.tools.items()}
