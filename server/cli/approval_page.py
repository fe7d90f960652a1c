"""The sheet of a request on one page of the terminal, folded to its width; the short form cuts long texts of
others, never an argument.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable

from rich.cells import cell_len

from server.approval_sheet import Line, Section, Values, sheet_of
from server.cli.exact import value_lines
from server.cli.options import Printed

_NARROWEST, _WIDEST = 60, 100


def print_request(shown: Printed, given: str = "", *, whole: bool = False) -> None:
    """Print the result of `approval.show`; `whole` cuts nothing. `given` are the options of its commands."""
    width, sheet = _width(), sheet_of(shown, given)
    print("═" * width)
    print(f"{sheet.request}  {sheet.state}\n{sheet.times}")
    *before, signatures = sheet.sections
    if _print_sections(before, width, whole=whole):
        print(f"  Where … stands something was cut: bailiwick approval show --full {sheet.request}{given}")
    _print_sections([signatures], width, whole=whole)


def print_calls(pages: list[Printed]) -> None:
    """Several requests on one page: of each the exact call, and what speaks against it."""
    width = _width()
    for number, shown in enumerate(pages, start=1):
        sheet = sheet_of(shown)
        counted = f"{number} of {len(pages)}  " if len(pages) > 1 else ""
        print("─" * width)
        print(f"{counted}{sheet.request}  {sheet.state}\n{sheet.times}")
        _print_sections(sheet.only("call", "moved"), width, whole=True)
    print("─" * width)


def _print_sections(sections: Iterable[Section], width: int, *, whole: bool) -> bool:
    """Whether something was cut."""
    cut = False
    for section in sections:
        print(f"\n{section.heading}")
        for line in section.lines:
            if isinstance(line, Values):
                for text in value_lines(line.rows, width - 4):
                    print(f"    {text}")
            else:
                cut |= _print_line(line, width, whole=whole)
    return cut


def _print_line(line: Line, width: int, *, whole: bool) -> bool:
    """A paragraph with its place behind it; whether it was cut."""
    mark = "  " * line.depth + (f"{line.mark} " if line.mark else "")
    if line.kind != "text":
        print(mark + line.text)
        return False
    tail = f" {line.place}" if line.place else ""
    most = None if whole else line.most
    text = line.text
    room = len(text) if most is None else most * (width - len(mark)) - cell_len(tail) - most - 1
    short = text if len(text) <= room else f"{text[:room]}…"
    # Texts of others are in one line already, so folding changes only white space.
    print(
        textwrap.fill(
            short + tail,
            width,
            initial_indent=mark,
            subsequent_indent=" " * len(mark),
            break_long_words=True,
            break_on_hyphens=False,
        )
    )
    return len(text) > room


def _width() -> int:
    return max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size((80, 24)).columns))
