"""The exceptions of this floor. A denial is a value (`policies.codes.Denial`); these mean input that nobody
should have sent.

The message is one clear sentence: what was wrong, and what to do about it. It is meant for the person at
the command line, never for the agent.
"""


class PolicyError(Exception):
    """Something given to the gate cannot be used; the message says what and what to do."""


class PolicySetRefused(PolicyError):
    """A folder of Cedar policies does not load; the set that is running stays."""


class InvariantBroken(PolicySetRefused):
    """A policy set is right by itself, but allows what no set may allow."""


class KeyFileRefused(PolicyError):
    """A personal key file is missing, damaged, readable by others, or in the wrong place."""


class EnrolmentRefused(PolicyError):
    """An agent, a person or a key cannot be enrolled, changed or revoked as asked."""
