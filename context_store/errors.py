"""What can go wrong in the library, as one small family of exceptions.

Each message is one clear sentence that says what was wrong and what to do. What a grant does not cover is no
error: it is absent.
"""


class StoreError(Exception):
    """Anything that keeps the knowledge store from doing what was asked. Base of the family."""


class StoreUnavailable(StoreError):
    """The store's file cannot be used now: gone, unreadable, damaged, or made by a newer version."""


class StoreOwned(StoreUnavailable):
    """Another process owns the store's file. `pid` names it where the operating system told."""

    def __init__(self, message: str, pid: int | None = None) -> None:
        super().__init__(message)
        self.pid = pid


class ImportRefused(StoreError):
    """A file or text cannot become a version; nothing of it was kept."""


class CurationRefused(StoreError):
    """An act of curation breaks a rule: a wrong state, an author who reviews their own text, an unknown
    source.
    """
