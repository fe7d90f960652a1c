"""The secrets file: what `${NAME}` stands for in a catalogue, as lines of `NAME=value`.

It is the only place that upstreams' credentials come from, so that none of this process's own environment
reaches them.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path

from tool_scopes.yaml_files import FileRefused, read_text_file

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def read_secrets(path: Path) -> dict[str, str]:
    """The secrets of a file by name; none if there is no file.

    Empty lines and lines that start with `#` mean nothing; a value is everything after the first `=`,
    without the white space around it. Raises FileRefused naming the line, never a value, and for a file
    that others than its owner may read.
    """
    if not path.exists():
        return {}
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise FileRefused(f"{path}: others may read it; run `chmod 600 {path}`")
    secrets: dict[str, str] = {}
    for number, line in enumerate(read_text_file(path).split("\n"), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not _NAME.fullmatch(name) or not value:
            raise FileRefused(f"{path}:{number}: write NAME=value, with a name of letters, digits and _")
        if name in secrets:
            raise FileRefused(f"{path}:{number}: {name} stands twice; keep one of the two")
        secrets[name] = value
    return secrets
