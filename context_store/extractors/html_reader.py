"""HTML, by Beautiful Soup and markdownify: what a reader of the page sees, as Markdown.

Scripts, styles, forms, navigation and what the page hides are left out; emphasis and links keep their words
only, so that a quote is plain text.
"""

import re
from typing import Final

from bs4 import BeautifulSoup, Tag
from bs4.element import Comment
from markdownify import MarkdownConverter  # type: ignore[import-untyped]

from context_store.extractors.cleaning import clean, one_line
from context_store.extractors.contract import Reading, Unreadable

_UNSEEN: Final = (
    *("script", "style", "template", "noscript", "svg", "math", "iframe", "object", "embed", "canvas"),
    *("nav", "form", "button", "input", "select", "textarea", "dialog", "video", "audio", "head"),
)
_HIDING: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_DECLARED: Final = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([A-Za-z0-9_-]{1,40})", re.IGNORECASE)
_ENCODINGS: Final = frozenset(
    {
        *("utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "iso-8859-2", "iso-8859-15", "latin1"),
        *("windows-1250", "windows-1251", "windows-1252", "koi8-r", "shift_jis", "euc-jp", "euc-kr"),
        *("gb2312", "gbk", "gb18030", "big5"),
    }
)
_BLANK_LINES: Final = re.compile(r"\n{3,}")


def read(raw: bytes) -> Reading:
    """The page as Markdown."""
    if b"<" not in raw:
        raise Unreadable("is named like a web page and holds no markup; give it the name of what it is")
    soup = BeautifulSoup(_decoded(raw), "html.parser")
    title = soup.title.get_text() if soup.title else None
    return Reading("markdown", (as_markdown(soup),), one_line(title) if title else None)


def as_markdown(soup: BeautifulSoup) -> str:
    """What of a parsed page is seen, as Markdown."""
    for unseen in soup.find_all(_is_unseen):
        if not unseen.decomposed:
            unseen.decompose()
    for comment in soup.find_all(string=lambda text: isinstance(text, Comment)):
        comment.extract()
    converter = MarkdownConverter(
        heading_style="ATX",
        bullets="-",
        strong_em_symbol="",
        strip=["a", "img"],
        escape_asterisks=False,
        escape_underscores=False,
        escape_misc=False,
        table_infer_header=True,
        newline_style="backslash",
    )
    found: str = converter.convert_soup(soup)
    lines = "\n".join(line.rstrip().removesuffix("\\").rstrip() for line in clean(found).split("\n"))
    return _BLANK_LINES.sub("\n\n", lines).strip("\n") + "\n"


def _is_unseen(tag: Tag) -> bool:
    if tag.name in _UNSEEN or tag.has_attr("hidden") or tag.get("aria-hidden") == "true":
        return True
    style = tag.get("style")
    return isinstance(style, str) and _HIDING.search(style) is not None


def _decoded(raw: bytes) -> str:
    """UTF-8, or what the page declares in its first kilobytes; every byte must fit."""
    declared = _DECLARED.search(raw[:4096])
    encoding = declared[1].decode("ascii").lower() if declared else "utf-8"
    if encoding not in _ENCODINGS:
        raise Unreadable(f"declares the encoding {encoding}, which is not read here; save it as UTF-8")
    for attempt in ("utf-8-sig", encoding):
        try:
            return raw.decode(attempt)
        except UnicodeDecodeError:
            continue
    raise Unreadable(f"is neither UTF-8 nor {encoding} throughout; save it as UTF-8, and add it again")
