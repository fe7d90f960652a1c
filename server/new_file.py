"""Writing a file that was not there before: whole or not at all, readable by this account alone."""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from server.errors import BadInput, RuleRefused, Unavailable


@contextmanager
def writing_new(path: Path) -> Generator[Path]:
    """A place beside `path` to write to, which becomes `path` when the block ends; if it raises, nothing
    stays.

    `RuleRefused` when something is there already, `BadInput` when its folder is not there.
    """
    if not path.is_absolute():
        raise BadInput(f"{path} is no absolute path; use the command line of this version.")
    if path.exists():
        raise RuleRefused(f"{path} is there already and is not overwritten; name a new file.")
    if not path.parent.is_dir():
        raise BadInput(f"There is no folder {path.parent}; make it first.")
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        yield draft
        # A hard link is made only where nothing is, also when somebody was quicker.
        os.link(draft, path)
    except FileExistsError:
        raise RuleRefused(f"{path} is there already and is not overwritten; name a new file.") from None
    except OSError as error:
        raise Unavailable(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        draft.unlink(missing_ok=True)
