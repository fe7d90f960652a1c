"""What every reader does to the text that it found: no control characters, no halves of characters.

A text file that holds them is refused, because they are in it; a document's reader makes them up of fonts and
markup, so they are left out here.
"""

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


def clean(text: str) -> str:
    """The text without them, and with LF line ends."""
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n").replace("\x0c", "\n"))


def one_line(text: str) -> str:
    """The text as one line: white space of any kind becomes one space."""
    return " ".join(clean(text).split())
