"""The adversarial cases by number, each in a line: what the gate, the store and the ledger must survive.

A test shows a case by carrying its number in its id: `test_case_41_…`, `case_41-…` as the id of a parameter,
or `test_cases_6_and_66_…` for several. Numbers are never given twice, and no case is ever dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

TITLES: Mapping[int, str] = {
    # The approval is of this very call.
    1: "a write without a token is refused and leaves a pending request",
    2: "one argument is another",
    3: "one argument more",
    4: "a default of the schema changes after the approval",
    5: "another tool with the same arguments",
    6: "the tool's schema or description changed",
    7: "another target, environment or audience",
    8: "another agent",
    9: "another run of the same agent",
    10: "another step, or one that was left",
    11: "another tenant",
    12: "more rows are affected than were approved",
    13: "the target changed since",
    # How a call is written.
    14: "order of keys, white space and escapes make no difference",
    15: "a key twice",
    16: "1 and 1.0 are one call",
    17: "numbers beyond exactness, NaN, lone surrogates",
    18: "characters that look alike",
    19: "characters that reorder or hide are shown to approvers",
    20: "arguments of monstrous depth or size",
    21: "null, missing and empty are three things",
    # Tokens and exported approvals.
    22: "an export under another algorithm",
    23: "an export of another type, key or critical header; an export as token",
    24: "another spelling of a signature, and a replay",
    25: "too late or too early",
    26: "a clock that runs back or is off",
    27: "a key retired longer ago than any approval lasts",
    28: "a login or an agent key as approval",
    29: "a token that leaked to another agent",
    # Who approves.
    30: "the requester",
    31: "the agent's owner, or an alias",
    32: "one human with two keys",
    33: "one key under two names",
    34: "signatures of two requests spliced",
    35: "an approver who lost the role",
    36: "a denial after an approval",
    37: "a model, an argument or a form that says yes",
    38: "a link that is fetched",
    39: "a summary that tells another story than the arguments",
    # Time, and many at once.
    40: "a replay is told what happened",
    41: "a hundred spends over eight processes",
    42: "a hundred spends over two servers on one PostgreSQL",
    43: "revoked before redemption",
    44: "revoked after redemption",
    45: "evidence changed after the approval",
    46: "policy changed, tighter or looser",
    47: "a policy set that breaks an invariant",
    48: "a policy that errors",
    49: "killed before the effect",
    50: "killed between effect and outcome",
    51: "the ledger is gone, read-only or full",
    52: "a freeze while calls queue",
    53: "the client goes away in a write",
    54: "one JSON-RPC id twice in flight",
    # The log.
    55: "an entry edited, deleted or reordered",
    56: "the tail cut off",
    57: "rewritten in full with a stolen key",
    58: "two histories for two readers",
    59: "a torn last record",
    60: "an old copy of the database",
    61: "a secret among the arguments",
    62: "an effect without approval, a redemption without outcome",
    # Scopes.
    63: "a tool of another step",
    64: "a stale pass",
    65: "two runs on one connection",
    66: "an upstream that rewrites its tools",
    67: "an upstream that calls a write a read",
    68: "a tool that calls others by name",
    69: "resources, prompts, completions, subscriptions",
    70: "a run at a checkpoint",
    # Evidence.
    71: "a quote that is not there",
    72: "a provenance id that the reader may not resolve",
    73: "evidence that gives orders",
    74: "versions that are not in force",
    75: "two values for one fact",
    76: "nothing relevant",
    77: "what is withheld",
    78: "a file that is not what it says",
    79: "killed in an import, a publish or an index build",
    80: "an agent that publishes",
    # From a second look.
    81: "an upstream that asks back in a write",
    82: "two approvals of one call",
    83: "a copied data folder, both running",
    84: "a database that fails over behind the last redemption",
    85: "approved by SQL, without signatures",
    86: "a signed denial as approval",
    87: "a write reclassified by editing a file",
    88: "an upstream repointed",
    89: "something lost between verification and redemption",
    90: "a cited version retired by another server",
    91: "an approver enrolled after the request",
    92: "a reviewer's own login at the agents' door",
    93: "a document that claims more than it may",
    94: "a second server starts in the middle of an execution",
    95: "an error after an effect",
    96: "two writes on one target at once",
    97: "another tenant's idempotency key",
    98: "another run's bundle or token",
    99: "an upstream that speaks in our name",
    100: "an upstream that takes the desk's names",
    101: "a span beyond what was shown",
    102: "hints about a source that may not be read",
    103: "what an upstream can reach",
    104: "killed just after a read's answer",
    105: "ten thousand refused writes",
}

NOT_YET: Mapping[int, str] = {}
"""Cases that no test shows yet, each with its reason. A case that has a test does not stand here."""

_NUMBERS = re.compile(r"(?:test_|[\[-])case(s?)_(\d+(?:_(?:and_)?\d+(?![0-9a-z]))*)(?![0-9a-z])")


def cases_in(test_id: str) -> set[int]:
    """The numbers of the cases that a test's id names."""
    found: set[int] = set()
    for several, numbers in _NUMBERS.findall(test_id):
        every = [int(number) for number in re.findall(r"\d+", numbers)]
        found |= set(every if several else every[:1])
    return found


def shown_by(test_ids: Iterable[str]) -> dict[int, list[str]]:
    """Case → the tests that show it."""
    found: dict[int, list[str]] = {}
    for test_id in test_ids:
        for case in cases_in(test_id):
            found.setdefault(case, []).append(test_id)
    return found
