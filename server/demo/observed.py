"""What the demo promises, and whether each of it was seen from outside. A promise that was not looked at was
not kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

PROMISES: Final = {
    "published": "the corpus was imported, reviewed and published as release 1",
    "upstream": "the domain tools come from the order desk, started over stdio",
    "same_run": "opening the run twice with one idempotency key gave one run",
    "five_steps": "the run went through read, classify, plan, draft and execute",
    "tools_differ": "no two steps had the same tools",
    "exact_quotes": "every quote of every bundle resolves to exactly those words",
    "within_budget": "every bundle stayed within its budget",
    "two_kinds_of_evidence": "every envelope quoted a policy and an observation of the order",
    "hidden_in_plan": "in plan the refund tool is as unknown as one that nobody has",
    "approval_required": "in execute, a call without an approval is refused: approval_required",
    "approved_by_key": "a reviewer approved with a personal key",
    "approval_mismatch": "the approved call with another amount is refused: approval_mismatch",
    "done": "the approved call is done",
    "approval_spent": "the same call again is refused, and says what happened: approval_spent",
    "changed_once": "the order database changed exactly once, by exactly this refund",
    "traced": "the run can be traced from its opening to its end",
    "audited": "the whole log verifies",
}
"""Every promise by name. The demo succeeds only if each was seen to hold."""


@dataclass(slots=True)
class Observed:
    """The promises that were looked at, and the facts that go with them."""

    seen: dict[str, bool] = field(default_factory=dict[str, bool])
    facts: dict[str, Any] = field(default_factory=dict[str, Any])

    def note(self, promise: str, holds: bool, **facts: Any) -> bool:
        """Write down whether a promise holds.

        Once broken it stays broken, however often it holds elsewhere.
        """
        if promise not in PROMISES:
            raise KeyError(promise)
        self.seen[promise] = self.seen.get(promise, True) and holds
        self.facts.update(facts)
        return holds

    @property
    def missing(self) -> list[str]:
        """The promises that do not hold, or that nobody looked at."""
        return [name for name in PROMISES if not self.seen.get(name, False)]

    @property
    def all_hold(self) -> bool:
        """Whether every promise was seen to hold."""
        return not self.missing

    def as_json(self) -> dict[str, Any]:
        """For `bailiwick demo --json`."""
        promises = {
            name: {"promise": told, "observed": self.seen.get(name, False)} for name, told in PROMISES.items()
        }
        return {"all_hold": self.all_hold, "promises": promises, "facts": self.facts}
