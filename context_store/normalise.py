"""How bytes become the stored text: rule `text-1`, applied once, at import.

Strict UTF-8; a leading byte order mark is dropped; CRLF and CR become LF; control characters other than tab
and newline are refused. Nothing else changes: no Unicode normalisation, no trimming. Every offset in this
product counts code points of the text that this rule gives, so the rule has a name that is stored with each
version, and a change to it needs a new name.
"""

import re
from typing import Final

from context_store.errors import ImportRefused

RULE: Final = "text-1"
"""The name under which versions record how their text was normalised."""

_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_MAGIC: Final = (
    (b"%PDF-", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive, or an office document, which is one"),
    (b"\xd0\xcf\x11\xe0", "an old office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
)
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def stored_text(raw: bytes, name: str) -> str:
    """The text of a file under rule `text-1`; `name` is how messages call the file.

    Raises `ImportRefused` for what is no text in UTF-8.
    """
    for magic, kind in _MAGIC:
        if raw.startswith(magic):
            raise ImportRefused(
                f"{name} is {kind}, though its name says it is text; give it the name of what it is,"
                " or save it as Markdown or plain text."
            )
    if raw.startswith(_UTF16):
        raise ImportRefused(f"{name} is UTF-16; save it as UTF-8 and add it again.")
    try:
        text = raw.decode("utf-8", errors="strict")
    except UnicodeDecodeError as error:
        raise ImportRefused(
            f"{name} is not UTF-8 (byte {error.start} is {raw[error.start]:#04x});"
            " save it as UTF-8 and add it again."
        ) from error
    return normalise(text, name)


def normalise(text: str, name: str) -> str:
    """Rule `text-1` for text that is decoded already; lone surrogates, which UTF-8 cannot hold, are refused
    too.
    """
    clean = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if found := _FORBIDDEN.search(clean):
        line = clean.count("\n", 0, found.start()) + 1
        raise ImportRefused(
            f"{name} holds the control character U+{ord(found[0]):04X} in line {line},"
            " so it is no plain text; remove it, or convert the file to text first."
        )
    try:
        clean.encode()
    except UnicodeEncodeError as error:
        raise ImportRefused(
            f"{name} holds half of a surrogate pair, which is no character; remove it."
        ) from error
    return clean
