"""PDF, by pypdf: the text of each page. What is only a picture has none."""

import io
import logging

from pypdf import PdfReader
from pypdf.errors import PyPdfError

from context_store.extractors.cleaning import clean
from context_store.extractors.contract import Reading, Unreadable

_BULLET = "\uf0b7"  # what word processors put before an item, by a font of symbols


def read(raw: bytes) -> Reading:
    """The pages of a PDF document, in order; empty ones keep their place."""
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    if not raw.startswith(b"%PDF-"):
        raise Unreadable("is named like a PDF document and is none; give it the name of what it is")
    try:
        reader = PdfReader(io.BytesIO(raw))
        if reader.is_encrypted:
            raise Unreadable("is encrypted; save a copy without a password, and add that")
        pages = tuple(clean(page.extract_text()).replace(_BULLET, "•").strip() for page in reader.pages)
        title = reader.metadata.title if reader.metadata else None
    except PyPdfError as error:
        raise Unreadable(
            f"is a damaged PDF document ({type(error).__name__}); open it in its program, and save it anew"
        ) from error
    if not any(pages):
        raise Unreadable("holds no text, only pictures of it perhaps; run it through text recognition first")
    return Reading("pages", pages, clean(title) if isinstance(title, str) else None)
