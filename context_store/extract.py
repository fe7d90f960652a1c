"""From a file's bytes to a document: stored text, proposal, passages.

Markdown and plain text for now. The kind is decided by the file's ending, and the bytes must agree that they
are text.
"""

import stat
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from context_store import normalise
from context_store.errors import ImportRefused
from context_store.front_matter import Proposal, split_front_matter
from context_store.passages import Passage, split_markdown, split_plain

MAX_BYTES: Final = 5 * 1024 * 1024
"""The largest file that is imported, in bytes."""

_MARKDOWN: Final = (".md", ".markdown")
_PLAIN: Final = (".txt", ".text", "")


@dataclass(frozen=True, slots=True)
class Document:
    """What was read: `text` is what will be stored, without front matter; `extracted_by` names the extractor
    and its version.
    """

    text: str
    title: str
    proposal: Proposal
    passages: tuple[Passage, ...]
    extracted_by: str


def read_file(path: Path) -> bytes:
    """The bytes of a file that can be imported, as far as its outside tells; `ImportRefused` says what is in
    the way.
    """
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise ImportRefused(f"{path} is a folder; name the files in it.")
        if not stat.S_ISREG(found.st_mode):
            raise ImportRefused(f"{path} is not a regular file; name a file.")
        _check_size(found.st_size, str(path))
        with path.open("rb") as file:
            # The file may have grown since; one byte more than allowed is enough to tell.
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise ImportRefused(f"There is no file {path}; check the path.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ImportRefused(
            f"{path} cannot be read ({reason}); check the file and its permissions."
        ) from error
    _check_size(len(raw), str(path))
    return raw


def extract(raw: bytes, name: str) -> Document:
    """The document in a file of this name. Raises `ImportRefused` with one sentence that says what to do."""
    suffix = PurePath(name).suffix.lower()
    if suffix not in (*_MARKDOWN, *_PLAIN):
        raise ImportRefused(
            f"{name} ends in {suffix!r}; this release imports Markdown (.md) and plain text (.txt),"
            " so convert it first."
        )
    _check_size(len(raw), name)
    proposal, text = split_front_matter(normalise.stored_text(raw, name), name)
    markdown = suffix in _MARKDOWN
    passages = tuple(split_markdown(text) if markdown else split_plain(text))
    if not passages:
        raise ImportRefused(
            f"{name} is empty: it holds no sentence that could be quoted; add a file with text."
        )
    title = (
        proposal.title
        or (_first_heading(passages) if markdown else None)
        or PurePath(name).stem[:200]
        or name
    )
    return Document(text, title, proposal, passages, "markdown-1" if markdown else "plain-1")


def _first_heading(passages: tuple[Passage, ...]) -> str | None:
    """The heading that everything stands under, where there is one."""
    tops = {passage.section[:1] for passage in passages}
    return next(iter(tops))[0][:200] if len(tops) == 1 and () not in tops else None


def _check_size(size: int, name: str) -> None:
    if size > MAX_BYTES:
        raise ImportRefused(
            f"{name} is larger than {MAX_BYTES // 1024 // 1024} MiB; divide it and add the parts."
        )
