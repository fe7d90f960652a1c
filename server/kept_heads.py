"""Heads of a log that somebody else kept: a witness's file or URL, an older export, or one saved head."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from ledger.heads import HeadError, parse_head
from ledger.witness import read_witness_key, verify_cosignature
from ledger.witness_http import HttpWitness
from server.data_folder import DataFolder
from server.errors import BadInput
from server.settings import Settings
from server.witnesses import is_url


def kept_heads(source: str, origin: str, witness_key: str | None) -> list[str]:
    """The heads of the log `origin` that a file or a witness's URL holds; `BadInput` if it holds none."""
    if is_url(source):
        return [_asked(source, origin, witness_key)]
    try:
        text = Path(source).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"The witness {source} cannot be read: {error}.") from None
    try:
        notes = [text] if text.startswith(origin) else _noted(text)
        found = [note for note in notes if parse_head(note).origin == origin]
    except (HeadError, ValueError) as error:
        raise BadInput(f"{source} holds no heads of a log: {error}") from None
    if not found:
        raise BadInput(f"{source} holds no head of the log {origin}; name the file of its witness.")
    return found


def heads_known_here(folder: DataFolder, settings: Settings) -> list[str]:
    """The heads that this folder's own mark and the witness of the settings keep."""
    found: list[str] = []
    if folder.newest_head_file.exists():
        found += kept_heads(str(folder.newest_head_file), folder.origin, None)
    if settings.witness is not None and (is_url(settings.witness) or Path(settings.witness).exists()):
        found += kept_heads(settings.witness, folder.origin, settings.witness_key)
    return found


def _noted(text: str) -> list[str]:
    lines = (cast("dict[str, object]", json.loads(line)) for line in text.splitlines() if '"head":' in line)
    return [str(line["head"]) for line in lines if "head" in line]


def _asked(url: str, origin: str, witness_key: str | None) -> str:
    witness = HttpWitness(url)
    try:
        note, lines = witness.newest(origin)
        if witness_key is not None:
            verify_cosignature(note, lines, read_witness_key(witness_key))
    except (HeadError, ValueError) as error:
        raise BadInput(f"What {url} answers is no head of a witness that you trust: {error}") from None
    finally:
        witness.close()
    return note
