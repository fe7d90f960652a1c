"""The policy set that is in force in this process, and its change for another one while work goes on."""

from __future__ import annotations

from policies.cedar import PolicySet
from policies.decisions import Decision, Question


class PoliciesInForce:
    """What asks the policies holds one of these, so that all of them go over to another set at once.

    A decision is made whole by one set; `digest` names the one that answers now.
    """

    __slots__ = ("_now",)

    def __init__(self, policies: PolicySet) -> None:
        self._now = policies

    @property
    def now(self) -> PolicySet:
        """The set that is in force."""
        return self._now

    @property
    def digest(self) -> str:
        """The digest of the set that is in force."""
        return self._now.digest

    def decide(self, question: Question) -> Decision:
        """The answer of the set that is in force."""
        return self._now.decide(question)

    def replace(self, policies: PolicySet) -> None:
        """From now on `policies` answer. The caller has brought them into force in the ledger."""
        self._now = policies
