"""The one table of codes: what the gate can answer, in the order in which it judges.

Each code has one fixed text for the wire. It says what to do next and nothing about why: the true reason
goes to the ledger, so an answer teaches an honest agent and tells a probing one nothing. Failures of
identity are HTTP 401 and have no code here.

To add a code: add a row at its place in the order of judgement, and a line to the table of codes in the
docs (a test holds the two together).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from ledger.canonical import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Code:
    """One answer of the gate.

    `order` is its place in the order of judgement (0 is `done`); `retryable` says that the very same call
    can succeed later, so the agent should keep it rather than look for another way.
    """

    name: str
    message: str
    order: int
    retryable: bool


_ROWS: Final[tuple[tuple[str, bool, str], ...]] = (
    (
        "done",
        False,
        "Done.",
    ),
    (
        "unknown_tool",
        False,
        "There is no such tool here. List the tools of this step and use one of those.",
    ),
    (
        "step_closed",
        False,
        "This step is no longer open. Ask for the current step of the run and continue there.",
    ),
    (
        "invalid_arguments",
        False,
        "The arguments do not fit this tool. Compare them with its input schema, correct them and call "
        "again.",
    ),
    (
        "rate_limited",
        True,
        "Too many calls or open requests. Wait for the open ones, then send this call again.",
    ),
    (
        "frozen",
        True,
        "An administrator has stopped all work here. Nothing was done. Wait, then send the same call again.",
    ),
    (
        "checkpoint_open",
        True,
        "A human has to look at this run first. Nothing was done. Wait until the checkpoint is "
        "resolved, then send the same call again.",
    ),
    (
        "policy_denied",
        False,
        "Policy does not allow this. Repeating it will not help: choose another way, or submit the step "
        "and say what is needed.",
    ),
    (
        "approval_required",
        True,
        "This write needs a human's approval of exactly this call. Nothing was done. When the approval "
        "request is approved, send the same call again with its approval token.",
    ),
    (
        "approval_mismatch",
        False,
        "The approval is for a different call. Nothing was done and the approval is unspent. Send "
        "exactly the call that was approved, or call without the token to ask for a new approval.",
    ),
    (
        "approval_denied",
        False,
        "A human decided against this call. Nothing was done. Do not send it again: submit the step and "
        "say that it was denied.",
    ),
    (
        "approval_revoked",
        False,
        "The approval was taken back. Nothing was done. Call without the token to ask for a new one, if "
        "it is still needed.",
    ),
    (
        "approval_expired",
        False,
        "The approval has expired. Nothing was done. Call without the token to ask for a new one, if it "
        "is still needed.",
    ),
    (
        "approval_spent",
        False,
        "This approval has already been used; the execution and its status are given here. Do not "
        "repeat the call: read what happened and go on from there.",
    ),
    (
        "approval_pending",
        True,
        "The humans have not decided yet. Nothing was done. Wait, then send the same call with the same "
        "token.",
    ),
    (
        "policy_changed",
        False,
        "Policies, tools or the workflow changed after this was requested. Nothing was done. Call "
        "without the token to ask for a new approval.",
    ),
    (
        "evidence_changed",
        False,
        "Evidence that this run was shown is no longer current. Nothing was done. Call read_context, then "
        "call without the token to ask for a new approval. If this step reads no context, submit it as "
        "failed.",
    ),
    (
        "target_changed",
        False,
        "The target is not as it was when this was requested, or another write on it is unfinished. "
        "Nothing was done. Read the target again, then decide whether to ask for a new approval.",
    ),
    (
        "unavailable",
        True,
        "This cannot be done safely at the moment. Nothing was done. Wait, then send the same call again.",
    ),
    (
        "envelope_refused",
        False,
        "The step's result was not accepted. Correct what is named here and submit the step again.",
    ),
)


def _table() -> Mapping[str, Code]:
    table: dict[str, Code] = {}
    for order, (name, retryable, message) in enumerate(_ROWS):
        if name in table:
            raise ValueError(f"the code {name!r} stands twice in the table of codes")
        table[name] = Code(name, message, order, retryable)
    return MappingProxyType(table)


CODES: Final[Mapping[str, Code]] = _table()
"""Every code by name, in the order of judgement."""


@dataclass(frozen=True, slots=True)
class Denial:
    """A refusal, as a value.

    `code` is in the table; a code that is not is a bug and raises. `reason` is for the ledger and for
    people with the right to know; it never reaches the wire. `detail` may reach the wire: the id of an
    approval request, an execution and its status, the place of a wrong argument.
    """

    code: str
    reason: str
    detail: JsonObject = field(default_factory=dict[str, JsonValue])

    def __post_init__(self) -> None:
        if self.code == "done" or self.code not in CODES:
            raise ValueError(f"{self.code!r} is not a code that denies; the table is policies/codes.py")

    @property
    def message(self) -> str:
        """The fixed text of this code for the wire."""
        return CODES[self.code].message
