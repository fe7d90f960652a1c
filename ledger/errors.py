"""What can go wrong in the ledger, as one small family of exceptions.

Each message is one clear sentence that says what was wrong and what to do; none of them carries key material
or the contents of an entry.
"""


class LedgerError(Exception):
    """Anything that keeps the ledger from doing what was asked. Base of the family."""


class LedgerUnavailable(LedgerError):
    """The database cannot be used now (full, read-only, locked, gone). Callers answer `unavailable`."""


class LedgerDamaged(LedgerError):
    """The stored log contradicts its signed heads. Nothing is written on top: a person has to look first."""
