"""What of a folder can be imported: its files in order, and why each of the others is left out.

Hidden files and folders, and files of no kind that is read here, are passed over. A link is followed only to
a file inside the folder.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from context_store.errors import ImportRefused
from context_store.extract import SUFFIXES


@dataclass(frozen=True, slots=True)
class Found:
    """A file in a folder: its name is its path within.

    `why_not` says why it cannot be imported; `passed_over` that nobody would expect it to be.
    """

    path: Path
    name: str
    why_not: str | None = None
    passed_over: bool = False


def files_in(folder: Path, but_not: Path) -> Iterator[Found]:
    """Every file below a folder, by name, without what lies below `but_not`.

    Raises `ImportRefused` when the folder cannot be read.
    """
    try:
        root = folder.resolve(strict=True)
        yield from _below(folder, folder, root, but_not.resolve())
    except RuntimeError as error:  # so says Python 3.11 of a link that leads to itself
        raise ImportRefused(f"{folder} is a link that leads to itself; name the folder itself.") from error
    except OSError as error:
        where = error.filename or folder
        raise ImportRefused(
            f"{where} cannot be read ({error.strerror}); check the folder and its permissions."
        ) from error


def _below(here: Path, folder: Path, root: Path, but_not: Path) -> Iterator[Found]:
    if here.resolve() == but_not:
        return
    with os.scandir(here) as listed:
        entries = sorted(listed, key=lambda entry: entry.name)
    for entry in entries:
        path = Path(entry.path)
        name = path.relative_to(folder).as_posix()
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _below(path, folder, root, but_not)
        elif entry.is_symlink() and (wrong := _wrong_with_link(path, root)) is not None:
            yield Found(path, name, f"{name} is a link that {wrong}; add the file where it is.")
        elif not entry.is_file():
            yield Found(path, name, f"{name} is no regular file.")
        elif path.suffix.lower() not in SUFFIXES:
            yield Found(path, name, passed_over=True)
        else:
            yield Found(path, name)


def _wrong_with_link(link: Path, root: Path) -> str | None:
    try:
        return None if link.resolve().is_relative_to(root) else "leaves the folder"
    except (OSError, RuntimeError):  # Python 3.11 and later differ
        return "leads to itself"
