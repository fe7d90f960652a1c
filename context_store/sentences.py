"""Where sentences end: rule `sentences-1`.

A sentence ends after `.`, `!`, `?` or `…` (with closing quotes and brackets) when white space and no
lower-case letter follow, and after the full stops of Chinese and Japanese. Common abbreviations, initials and
numbers with points do not end one. A wrong guess never damages evidence: sentences only say where a long
passage may be divided and how a long need is searched.
"""

import re
from collections.abc import Iterator
from typing import Final

RULE: Final = "sentences-1"

_END = re.compile(r"""(?:[.!?…]+["'”’»)\]*_]*(?=\s)|[。！？]+[」』”’）]*)\s*""")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[])(?:e\.g|i\.e|etc|vs|cf|mr|mrs|ms|dr|prof|st|no|nos|fig|art|sec|par|approx|incl|inc|ltd|[^\W\d_])\.$",
    re.IGNORECASE,
)


def sentence_spans(text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """The spans of the sentences in `text[start:end]`, in order, without the white space between them."""
    stop = len(text) if end is None else end
    begin = _skip_space(text, start, stop)
    for found in _END.finditer(text, start, stop):
        if found.end() >= stop or _goes_on(text, begin, found):
            continue
        yield begin, found.start() + len(found[0].rstrip())
        begin = found.end()
    last = begin + len(text[begin:stop].rstrip())
    if begin < last:
        yield begin, last


def _goes_on(text: str, begin: int, found: re.Match[str]) -> bool:
    """Whether this mark stands inside a sentence: before a lower-case letter, or after an abbreviation."""
    if text[found.end()].islower():
        return True
    # The longest abbreviation has six letters; a bounded look back keeps a text of 5 MiB without ends linear.
    head = text[max(begin, found.start() - 8) : found.start() + 1]
    return head.endswith(".") and _ABBREVIATION.search(head) is not None


def _skip_space(text: str, start: int, stop: int) -> int:
    while start < stop and text[start].isspace():
        start += 1
    return start
