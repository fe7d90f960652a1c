"""Tables as text (CSV): each row as a record. The separator is the one of `, ; tab |` that fits."""

import csv
import io

from context_store.extractors.contract import Reading, Unreadable
from context_store.extractors.records import records


def read(raw: bytes) -> Reading:
    """The table as Markdown."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(
            f"is not UTF-8 throughout (byte {error.start} is {raw[error.start]:#04x});"
            " save it as UTF-8, and add it again"
        ) from error
    if "\0" in text:
        raise Unreadable("holds NUL characters, so it is no table of text; export it anew as CSV in UTF-8")
    try:
        dialect: type[csv.Dialect] | csv.Dialect = csv.Sniffer().sniff(text[:65_536], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    try:
        lines = list(records(csv.reader(io.StringIO(text, newline=""), dialect, strict=True)))
    except csv.Error as error:
        raise Unreadable(f"is no table of text ({error}); export it anew as CSV in UTF-8") from error
    return Reading("markdown", ("\n".join(lines) + "\n",))
