"""Spreadsheets (XLSX), by openpyxl: each visible sheet under its name, each row as a record.

Cells have the values that the program last computed; formulas, comments and hidden sheets are left out.
"""

import warnings
from datetime import date, datetime, time
from zipfile import BadZipFile

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from context_store.extractors.cleaning import one_line
from context_store.extractors.contract import MAX_TEXT, Reading, Unreadable
from context_store.extractors.packages import opened_package
from context_store.extractors.records import records

_WHAT = "a spreadsheet (.xlsx)"


def read(raw: bytes) -> Reading:
    """The spreadsheet as Markdown."""
    package = opened_package(raw, "xl/workbook.xml", _WHAT)
    lines: list[str] = []
    size = 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = load_workbook(package, read_only=True, data_only=True, keep_links=False)
        for sheet in book.worksheets:
            if sheet.sheet_state != "visible":
                continue
            lines += ["", f"# {one_line(sheet.title)}", ""]
            for line in records([_said(cell) for cell in row] for row in sheet.iter_rows(values_only=True)):
                lines.append(line)
                size += len(line)
                if size > MAX_TEXT:
                    raise Unreadable("yields too much text; divide it, and add the parts")
        title = book.properties.title
    except (InvalidFileException, BadZipFile, KeyError) as error:
        raise Unreadable(f"is damaged; open it as {_WHAT} in its program, and save it anew") from error
    return Reading("markdown", ("\n".join(lines).lstrip("\n") + "\n",), one_line(title) if title else None)


def _said(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, datetime):
        plain = value.time() == time(0)
        return value.date().isoformat() if plain else value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)
