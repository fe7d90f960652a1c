"""From a file's bytes to a document: stored text, proposal, passages.

The kind is decided by the file's ending, and the bytes must agree with it. Markdown and plain text are read
here; every other kind in a process of its own (`context_store.extractors`), which gives Markdown, or the text
of pages. Front matter belongs to Markdown and plain text alone.
"""

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from types import MappingProxyType
from typing import Final

from context_store import normalise
from context_store.errors import ImportRefused
from context_store.extractors.contract import Kind
from context_store.extractors.room import read_apart
from context_store.front_matter import Proposal, split_front_matter
from context_store.passages import Passage, split_markdown, split_plain

MAX_BYTES: Final = 5 * 1024 * 1024
"""The largest text that is imported, in bytes."""

MAX_DOCUMENT_BYTES: Final = 20 * 1024 * 1024
"""The largest PDF, Word document or spreadsheet that is imported, in bytes."""

_MARKDOWN: Final = (".md", ".markdown")
_PLAIN: Final = (".txt", ".text", "")
_APART: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        ".html": "html",
        ".htm": "html",
        ".xhtml": "html",
        ".pdf": "pdf",
        ".docx": "docx",
        ".xlsx": "xlsx",
        ".csv": "csv",
        ".tsv": "csv",
        ".json": "json",
    }
)
_LARGE: Final = (".pdf", ".docx", ".xlsx")

SUFFIXES: Final = frozenset((*_MARKDOWN, *_PLAIN, *_APART)) - {""}
"""The endings of the files that can be imported."""

READERS: Final[Mapping[Kind, str]] = MappingProxyType(
    {
        "html": "html-1",
        "pdf": "pdf-1",
        "docx": "docx-1",
        "xlsx": "xlsx-1",
        "csv": "csv-1",
        "json": "json-1",
    }
)
"""The rule by which each kind is read; versions record it, and a change of a rule needs a new name."""


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
            raise ImportRefused(f"{path} is a folder; import it as one, or name the files in it.")
        if not stat.S_ISREG(found.st_mode):
            raise ImportRefused(f"{path} is not a regular file; name a file.")
        _check_size(found.st_size, str(path))
        with path.open("rb") as file:
            # The file may have grown since; one byte more than allowed is enough to tell.
            raw = file.read(MAX_DOCUMENT_BYTES + 1)
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
    _check_kind(suffix, name)
    _check_size(len(raw), name)
    if not raw:
        raise ImportRefused(
            f"{name} is empty: it holds no sentence that could be quoted; add a file with text."
        )
    kind = _APART.get(suffix)
    if kind is not None:
        return _read_apart(raw, name, kind)
    proposal, text = split_front_matter(normalise.stored_text(raw, name), name)
    markdown = suffix in _MARKDOWN
    passages = tuple(split_markdown(text) if markdown else split_plain(text))
    _check_any(passages, name)
    title = proposal.title or (_first_heading(passages) if markdown else None) or _stem(name)
    return Document(text, title, proposal, passages, "markdown-1" if markdown else "plain-1")


def check_name(name: str) -> None:
    """`ImportRefused` unless `name` is that of a file in the folder that is imported, or below it."""
    place = PurePosixPath(name.replace("\\", "/"))
    if place.is_absolute() or ".." in place.parts or not name.isprintable():
        raise ImportRefused(
            f"{name[:100]!r} is a path that leaves its folder; add the file where it really is."
        )


def extractor_of(name: str) -> str | None:
    """The rule that reads a file of this name in a process of its own; None where none is needed."""
    kind = _APART.get(PurePath(name).suffix.lower())
    return None if kind is None else READERS[kind]


def _read_apart(raw: bytes, name: str, kind: Kind) -> Document:
    reading = read_apart(kind, raw, name)
    parts = [normalise.normalise(part, name) for part in reading.parts]
    if reading.form == "pages":
        text = _PAGE_BREAK.join(parts)
        passages = tuple(_paged(parts))
    else:
        text = "".join(parts)
        passages = tuple(split_markdown(text))
    _check_any(passages, name)
    own = " ".join((reading.title or "").split())[:200]
    title = own or (_first_heading(passages) if reading.form == "markdown" else None) or _stem(name)
    return Document(text, title, Proposal(), passages, READERS[kind])


_PAGE_BREAK: Final = "\n\n"


def _paged(parts: list[str]) -> Iterator[Passage]:
    """The paragraphs of each page, under its number: whoever checks a quote opens the document there."""
    start = 0
    for number, part in enumerate(parts, 1):
        for passage in split_plain(part):
            yield Passage(start + passage.start, start + passage.end, (f"page {number}",))
        start += len(part) + len(_PAGE_BREAK)


def _first_heading(passages: tuple[Passage, ...]) -> str | None:
    """The heading that everything stands under, where there is one."""
    tops = {passage.section[:1] for passage in passages}
    return next(iter(tops))[0][:200] if len(tops) == 1 and () not in tops else None


def _stem(name: str) -> str:
    return PurePath(name).stem[:200] or name


def _check_kind(suffix: str, name: str) -> None:
    if suffix not in SUFFIXES and suffix not in _PLAIN:
        raise ImportRefused(
            f"{name} ends in {suffix!r}, which is not read here; convert it first, to one of"
            f" {', '.join(sorted(SUFFIXES))}."
        )


def _check_any(passages: tuple[Passage, ...], name: str) -> None:
    if not passages:
        raise ImportRefused(
            f"{name} is empty: it holds no sentence that could be quoted; add a file with text."
        )


def _check_size(size: int, name: str) -> None:
    most = MAX_DOCUMENT_BYTES if PurePath(name).suffix.lower() in _LARGE else MAX_BYTES
    if size > most:
        raise ImportRefused(f"{name} is larger than {most // 1024 // 1024} MiB; divide it and add the parts.")
