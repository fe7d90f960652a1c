"""What the front desk says to a person when something cannot be done, and the one table of exit codes.

Every floor has a small family of exceptions whose message is one clear sentence. Here each family gets its
exit code, so that the command line and the loopback interface answer alike and no traceback reaches anybody.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final, cast

logger = logging.getLogger(__name__)

DONE: Final = 0
REFUSED: Final = 1
BAD_INPUT: Final = 2
UNAVAILABLE: Final = 3


class DeskError(Exception):
    """Something that was asked of the front desk cannot be done. Base of the family."""

    exit_code: int = UNAVAILABLE


class RuleRefused(DeskError):
    """A rule forbids it: a missing role, a key that is not enrolled, a state that does not allow it."""

    exit_code = REFUSED


class BadInput(DeskError):
    """What was given cannot be used."""

    exit_code = BAD_INPUT


class Unavailable(DeskError):
    """It cannot be done now: another process owns the folder, a port is in use, a server does not answer."""

    exit_code = UNAVAILABLE


@dataclass(frozen=True, slots=True)
class Failure:
    """How a failed act is told: one sentence for stderr or the wire, and the exit code."""

    sentence: str
    exit_code: int


def failure_of(error: Exception) -> Failure:
    """The sentence and the exit code for any exception. What belongs to no family is a bug, and logged."""
    while isinstance(error, ExceptionGroup):
        # A task group wraps what its tasks raise; the first one is why it ended.
        error = cast("ExceptionGroup[Exception]", error).exceptions[0]
    if isinstance(error, DeskError):
        return Failure(_one_line(error), error.exit_code)
    for families, exit_code in _families():
        if isinstance(error, families):
            return Failure(_one_line(error), exit_code)
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return Failure(f"The operating system refused: {error.strerror or error}{where}.", UNAVAILABLE)
    logger.debug("unexpected error", exc_info=error)
    return Failure(
        f"Something unexpected happened ({type(error).__name__}) and nothing was promised to be done; set "
        "BAILIWICK_LOG_LEVEL=debug, run it again, and report what it prints.",
        UNAVAILABLE,
    )


def _families() -> tuple[tuple[tuple[type[Exception], ...], int], ...]:
    """Families in the order in which they are tried: special ones before their bases."""
    from context_store.errors import CurationRefused, ImportRefused, StoreError
    from ledger.canonical import CanonicalError
    from ledger.errors import LedgerError
    from ledger.keyring import KeyRingError
    from policies.acts import ActRefused
    from policies.approvals import JudgementRefused
    from policies.errors import EnrolmentRefused, InvariantBroken, PolicyError
    from policies.exported import ExportRefused
    from policies.taking import GateLowered
    from tool_scopes.resolution import RunRefused
    from tool_scopes.triggers import TriggerRefused
    from tool_scopes.upstream.tools import UpstreamFailure, UpstreamUnavailable
    from tool_scopes.views import ViewRefused
    from tool_scopes.workflow_drafts import DraftRefused
    from tool_scopes.yaml_files import FileRefused

    return (
        ((ActRefused, CurationRefused, EnrolmentRefused, ExportRefused, GateLowered), REFUSED),
        ((InvariantBroken, JudgementRefused, RunRefused), REFUSED),
        (
            (
                ImportRefused,
                PolicyError,
                FileRefused,
                ViewRefused,
                CanonicalError,
                TriggerRefused,
                DraftRefused,
            ),
            BAD_INPUT,
        ),
        ((StoreError, LedgerError, KeyRingError, UpstreamUnavailable, UpstreamFailure), UNAVAILABLE),
    )


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if text.endswith((".", "?", "!")) else f"{text}."
