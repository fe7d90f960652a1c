"""How a text is divided into passages: rule `passages-2`.

A passage is the unit that is indexed, and that sentences are shown from: one paragraph, list item, table or
code block under one heading path. A lead-in that ends with a colon keeps the list it introduces; what is
longer than `LONG` is divided between sentences (tables and code: between lines), never inside one. Every
passage is a span: what it says is `text[start:end]`, always, and passages come in order without overlap.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from context_store.sentences import sentence_spans

RULE: Final = "passages-2"
LONG: Final = 2_500
"""Code points above which a passage is divided.

Divided at 1,000, an abstract's words stood in two passages, and nDCG@10 on scientific claims fell from .691
to .682. A bundle shows sentences of a passage, so its length costs no tokens.
"""

LEAD_IN: Final = 1_000
"""Code points above which a list is no longer joined to its lead-in."""

_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))??(?:[ \t]+#+)?[ \t]*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_RULE_LINE = re.compile(r" {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r"[ \t]*(?:>[ \t]?)*[ \t]*(?:[-*+•]|\d{1,9}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?")
_QUOTED = re.compile(r"[ \t]*(?:>[ \t]?)+")
_MARKUP = re.compile(r"[*_`]+")


@dataclass(frozen=True, slots=True)
class Passage:
    """A span of a text and the headings above it, outermost first."""

    start: int
    end: int
    section: tuple[str, ...]


@dataclass(slots=True)
class _Block:
    kind: str  # paragraph, item, table or code
    start: int
    end: int
    section: tuple[str, ...]
    lines: int = 1


def split_plain(text: str) -> list[Passage]:
    """The passages of a plain text: its paragraphs, which empty lines part."""
    blocks = [_Block("paragraph", *span, ()) for span in _paragraphs(text)]
    return _passages(text, blocks)


def split_markdown(text: str) -> list[Passage]:
    """The passages of a Markdown text under their headings; markers of lists and quotations stand outside the
    spans.
    """
    return _passages(text, _MarkdownBlocks(text).read())


def _passages(text: str, blocks: list[_Block]) -> list[Passage]:
    return [
        Passage(start, end, block.section)
        for block in _with_lead_ins(text, blocks)
        for start, end in _divide(text, block)
        if start < end
    ]


def _with_lead_ins(text: str, blocks: list[_Block]) -> Iterator[_Block]:
    """Join "The fee is waived when:" with the items that follow it, as long as they stay one readable
    passage.
    """
    joined: _Block | None = None
    for block in blocks:
        if (
            joined is not None
            and block.kind == "item"
            and block.section == joined.section
            and block.end - joined.start <= LEAD_IN
        ):
            joined.end = block.end
            continue
        if joined is not None:
            yield joined
            joined = None
        if block.kind != "code" and text[block.start : block.end].rstrip("*_ ").endswith((":", "：")):
            joined = block
        else:
            yield block
    if joined is not None:
        yield joined


def _divide(text: str, block: _Block) -> Iterator[tuple[int, int]]:
    """The block itself, or spans of whole sentences (lines) of it, each as long as `LONG` allows."""
    if block.end - block.start <= LONG:
        yield block.start, block.end
        return
    by_line = block.kind in ("table", "code")
    units = _lines(text, block.start, block.end) if by_line else sentence_spans(text, block.start, block.end)
    start = end = -1
    for first, last in units:
        if start >= 0 and last - start > LONG:
            yield start, end
            start = -1
        if start < 0:
            start = first
        end = last
    if start >= 0:
        yield start, end


def _lines(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        newline = text.find("\n", start, end)
        stop = end if newline < 0 else newline
        if text[start:stop].strip():
            yield _trim(text, start, stop)
        start = stop + 1


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    start = end = -1
    for first, last in _all_lines(text):
        if text[first:last].strip():
            start, end = (first if start < 0 else start), last
        elif start >= 0:
            yield _trim(text, start, end)
            start = -1
    if start >= 0:
        yield _trim(text, start, end)


def _all_lines(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(text):
        newline = text.find("\n", start)
        stop = len(text) if newline < 0 else newline
        yield start, stop
        start = stop + 1


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), start + len(part.rstrip())


@dataclass(slots=True)
class _MarkdownBlocks:
    """One walk over the lines of a Markdown text.

    It reads what documents use, not all of CommonMark: a misread block is still an exact span.
    """

    text: str
    blocks: list[_Block] = field(default_factory=list[_Block])
    open: _Block | None = None
    headings: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    fence: str = ""

    def read(self) -> list[_Block]:
        for start, end in _all_lines(self.text):
            if self.fence:
                self._in_fence(start, end)
            else:
                self._line(start, end)
        self._close()
        return self.blocks

    def _line(self, start: int, end: int) -> None:
        line = self.text[start:end]
        if not line.strip():
            self._close()
        elif fence := _FENCE.match(line):
            self._begin("code", start, end)
            self.fence = fence[1]
        elif heading := _HEADING.match(line):
            self._heading(len(heading[1]), heading[2] or "")
        elif self.open is not None and self._underlined(line):
            pass
        elif _RULE_LINE.match(line):
            self._close()
        elif line.lstrip().startswith("|"):
            self._add("table", start, end)
        elif item := _ITEM.match(line):
            self._begin("item", start + item.end(), end)
        elif self.open is not None and self.open.kind != "table":
            self._extend(end)
        else:
            quoted = _QUOTED.match(line)
            self._begin("paragraph", start + (quoted.end() if quoted else 0), end)

    def _in_fence(self, start: int, end: int) -> None:
        closing = self.text[start:end].strip()
        self._extend(end)
        if closing.startswith(self.fence) and not closing.strip(self.fence[0]):
            self.fence = ""
            self._close()

    def _underlined(self, line: str) -> bool:
        """A heading of the older form: one line of text, then a line of `=` or `-`."""
        mark = _UNDERLINE.match(line)
        block = self.open
        if mark is None or block is None or block.kind != "paragraph" or block.lines != 1:
            return False
        self.open = None
        self._heading(1 if mark[1][0] == "=" else 2, self.text[block.start : block.end])
        return True

    def _heading(self, level: int, title: str) -> None:
        self._close()
        self.headings = [(depth, name) for depth, name in self.headings if depth < level]
        if name := " ".join(_MARKUP.sub("", title).split()):
            self.headings.append((level, name))

    def _add(self, kind: str, start: int, end: int) -> None:
        if self.open is not None and self.open.kind == kind:
            self._extend(end)
        else:
            self._begin(kind, start, end)

    def _begin(self, kind: str, start: int, end: int) -> None:
        self._close()
        self.open = _Block(kind, start, end, tuple(name for _, name in self.headings))

    def _extend(self, end: int) -> None:
        if self.open is not None:
            self.open.end = end
            self.open.lines += 1

    def _close(self) -> None:
        if self.open is not None:
            self.open.start, self.open.end = _trim(self.text, self.open.start, self.open.end)
            self.blocks.append(self.open)
            self.open = None
