"""Word documents (DOCX), by mammoth: their headings, paragraphs, lists, tables and notes, as Markdown."""

from typing import Any, cast
from xml.etree import ElementTree

import mammoth  # type: ignore[import-untyped]
from bs4 import BeautifulSoup

from context_store.extractors.cleaning import one_line
from context_store.extractors.contract import Reading
from context_store.extractors.html_reader import as_markdown
from context_store.extractors.packages import opened_package

_WHAT = "a Word document (.docx)"


def read(raw: bytes) -> Reading:
    """The document as Markdown. Text that was deleted under change tracking, and comments, are left out."""
    package = opened_package(raw, "word/document.xml", _WHAT)
    found = cast(
        "Any",
        mammoth.convert_to_html(  # pyright: ignore[reportUnknownMemberType]
            package,
            include_embedded_style_map=False,
            external_file_access=False,
            convert_image=mammoth.images.img_element(_no_image),  # pyright: ignore[reportUnknownMemberType]
            ignore_empty_paragraphs=True,
        ),
    )
    soup = BeautifulSoup(str(found.value), "html.parser")
    return Reading("markdown", (as_markdown(soup),), _title(raw))


def _no_image(_image: object) -> dict[str, str]:
    return {}


def _title(raw: bytes) -> str | None:
    import io
    import zipfile

    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            core = ElementTree.fromstring(archive.read("docProps/core.xml"))
    except (KeyError, ElementTree.ParseError):
        return None
    title = core.findtext("{http://purl.org/dc/elements/1.1/}title")
    return one_line(title) or None if title else None
