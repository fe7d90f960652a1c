"""Provenance ids: `policy-14@3:120-188` names a span of one version of one source; `policy-14@3` names the
whole version.

The span counts Unicode code points of the version's stored text, end excluded. The text form is strict, so
that one span has one id. Source ids are unique in their tenant; which tenant is meant comes from the read
grant, never from the id.
"""

import re
from dataclasses import dataclass
from typing import Final, Self

OBSERVATION_PREFIX: Final = "obs-"
"""Source ids that begin so belong to observations of runs; no document may take one."""

SOURCE_ID = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,98}[a-z0-9])?", re.ASCII)
"""The shape of a source id, to be matched in full."""

_NUMBER = r"(?:0|[1-9][0-9]{0,9})"
_FORM = re.compile(rf"({SOURCE_ID.pattern})@([1-9][0-9]{{0,8}})(?::({_NUMBER})-({_NUMBER}))?", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class ProvenanceId:
    """A source, one of its versions, and a span of that version's text; without `start` and `end`, the whole
    version.
    """

    source: str
    version: int
    start: int | None = None
    end: int | None = None

    def __post_init__(self) -> None:
        if (self.start is None) != (self.end is None):
            raise ValueError("A span has both a start and an end, or neither.")

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The id that a text spells, or None: unknown spellings name nothing, like ids of nothing."""
        found = _FORM.fullmatch(text)
        if found is None:
            return None
        source, version, start, end = found.groups()
        if start is None:
            return cls(source, int(version))
        return cls(source, int(version), int(start), int(end)) if int(start) < int(end) else None

    @property
    def span(self) -> tuple[int, int] | None:
        """`(start, end)` in code points, or None for the whole version."""
        return None if self.start is None or self.end is None else (self.start, self.end)

    def whole(self) -> "ProvenanceId":
        """The version that this span is of."""
        return ProvenanceId(self.source, self.version)

    def at(self, start: int, end: int) -> "ProvenanceId":
        """Another span of the same version."""
        return ProvenanceId(self.source, self.version, start, end)

    def __str__(self) -> str:
        whole = f"{self.source}@{self.version}"
        return whole if self.start is None else f"{whole}:{self.start}-{self.end}"
