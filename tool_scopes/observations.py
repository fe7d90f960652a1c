"""Observations: what a read, lookup or simulate tool said, kept word for word so that an envelope can quote
it.

An observation belongs to one run. It is never searched and never published.
"""

from __future__ import annotations

from dataclasses import dataclass

from context_store.provenance import OBSERVATION_PREFIX, ProvenanceId
from ledger.canonical import canonical, text_digest
from ledger.statements import fixed, param
from ledger.transaction import Reading, Transaction
from tool_scopes.runs import Run
from tool_scopes.tables import observations
from tool_scopes.upstream.tools import UpstreamResult

_STORE = fixed(observations.insert())
_IN_RUN = fixed(
    observations.select().where(
        observations.c.id == param("observation"), observations.c.run == param("of_run")
    )
)


@dataclass(frozen=True, slots=True)
class Observation:
    """One stored answer of a tool. Its provenance ids are `obs-…@1` and `obs-…@1:start-end` over `text`."""

    id: str
    tool: str
    text: str

    @property
    def source(self) -> str:
        """The provenance id of the whole text."""
        return f"{self.id}@1"


def observation_of(execution: str, tool: str, result: UpstreamResult) -> Observation:
    """The observation of one execution: the tool's text, or its structured answer as canonical JSON when it
    has no text.
    """
    text = result.text or canonical(result.structured).decode()
    return Observation(OBSERVATION_PREFIX + execution.partition("_")[2], tool, text)


def store_observation(tx: Transaction, run: Run, observation: Observation) -> None:
    """Keep an observation with its run. The log entry that goes with it carries the digest of the text."""
    tx.run(
        _STORE,
        {
            "id": observation.id,
            "run": run.id,
            "step": run.step,
            "epoch": run.epoch,
            "tool": observation.tool,
            "text": observation.text,
            "digest": text_digest(observation.text),
            "at_ms": tx.now_ms,
        },
    )


def find_observation(reading: Reading, run_id: str, cited: ProvenanceId) -> Observation | None:
    """The observation that `cited` names, or None: another run's is as if absent."""
    if cited.version != 1:
        return None
    row = reading.one(_IN_RUN, {"observation": cited.source, "of_run": run_id})
    return None if row is None else Observation(row.id, row.tool, row.text)
