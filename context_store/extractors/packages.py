"""Office documents are ZIP archives: what must hold of one before a library looks at it.

The sizes that an archive states bind whoever unpacks it, so they are added up first. Nothing is unpacked to a
disk; a name that leads out of the folder is refused all the same, for no program writes one.
"""

import io
import zipfile
from pathlib import PurePosixPath
from typing import Final

from context_store.extractors.contract import Unreadable

MAX_UNPACKED: Final = 256 * 1024 * 1024
MAX_RATIO: Final = 200
MAX_PARTS: Final = 10_000

_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def opened_package(raw: bytes, part: str, what: str) -> io.BytesIO:
    """The archive, ready to be read, if it holds `part` as a document of this sort does."""
    if raw.startswith(_OLE):
        raise Unreadable(
            f"is encrypted, or of an older sort than {what}; save a copy without a password as {what}"
        )
    if not raw.startswith(b"PK\x03\x04"):
        raise Unreadable(f"is named like {what} and is none; give it the name of what it is")
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, ValueError) as error:
        raise Unreadable(
            f"is a damaged archive; open it as {what} in its program, and save it anew"
        ) from error
    unpacked = sum(one.file_size for one in parts)
    if len(parts) > MAX_PARTS or unpacked > MAX_UNPACKED or unpacked > 65_536 + MAX_RATIO * len(raw):
        raise Unreadable("unpacks to far more than it seems to hold; make it anew from what it should hold")
    for one in parts:
        place = PurePosixPath(one.filename.replace("\\", "/"))
        if place.is_absolute() or ".." in place.parts:
            raise Unreadable("is an archive with a path that leaves its folder; save it anew in its program")
        if one.flag_bits & 0x1:
            raise Unreadable("is encrypted; save a copy without a password, and add that")
    if part not in {one.filename for one in parts}:
        raise Unreadable(f"is an archive and not {what}; give it the name of what it is")
    return io.BytesIO(raw)
