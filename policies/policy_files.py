"""The files of a policy set: how they are read, and the digest that names exactly these files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from policies.errors import PolicySetRefused

SCHEMA_FILE: Final = "bailiwick.cedarschema"
DEFAULT_FOLDER: Final = Path(__file__).with_name("default")
"""The policies that ship with Bailiwick."""

MAX_FILE_BYTES: Final = 1_048_576
"""The largest policy or schema file that is read, in bytes."""

_DIGEST_DOMAIN: Final = b"bailiwick-policies-v1\0"

PolicyFiles = Mapping[str, str]
"""Each file's text by its name: the schema, and every `*.cedar`."""


def read_policy_files(folder: Path) -> PolicyFiles:
    """The schema and every `*.cedar` file of `folder`. `PolicySetRefused` names one that cannot be read."""
    paths = [folder / SCHEMA_FILE, *sorted(folder.glob("*.cedar"))]
    return {path.name: _read(path) for path in paths}


def is_policy_file(name: str) -> bool:
    """Whether a policy set may hold a file of this name: no other folder, and nothing hidden."""
    plain = "/" not in name and "\\" not in name and not name.startswith(".") and name.isprintable()
    return plain and (name == SCHEMA_FILE or name.endswith(".cedar"))


def policy_digest(files: PolicyFiles) -> str:
    """`sha256:…` over names and contents, each with its length before it, so that nothing can move across a
    border.
    """
    whole = hashlib.sha256(_DIGEST_DOMAIN)
    for name, text in sorted(files.items()):
        for part in (name.encode(), text.encode()):
            whole.update(len(part).to_bytes(8))
            whole.update(part)
    return f"sha256:{whole.hexdigest()}"


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise PolicySetRefused(
            f"{path} cannot be read ({error.strerror}): restore it or correct its permissions."
        ) from error
    if len(data) > MAX_FILE_BYTES:
        raise PolicySetRefused(
            f"{path} is larger than {MAX_FILE_BYTES} bytes: no policy file needs that; split it."
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise PolicySetRefused(f"{path} is not UTF-8 text: save it as UTF-8.") from error
