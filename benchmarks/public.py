"""Public material for benchmarks, which lies beside the checkout and not in it."""

from __future__ import annotations

import ast
import csv
import io
import json
import os
import re
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import ROOT, NotStarted

# The abstracts are spelled as numpy prints lists: sentences follow each other without commas, so that the
# reader of Python's own would glue them together.
_SENTENCE = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim, and which sentences of which abstracts bear on it, by the abstract's id and number."""

    id: str
    text: str
    gold: frozenset[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class SciFact:
    """Abstracts by id as title and sentences; claims; and for the claims of the public test split what counts
    as relevant.
    """

    documents: Mapping[str, tuple[str, Sequence[str]]]
    claims: Sequence[Claim]
    relevant: Mapping[str, Mapping[str, int]]


def data_folder(name: str) -> Path:
    """The folder of one data set; raises NotStarted with what to do when it is not there."""
    shared = Path(os.environ.get("BAILIWICK_SHARED") or ROOT.parent / "shared")
    folder = shared / "data" / name
    if not folder.is_dir():
        raise NotStarted(
            f"the public data set {name} is not there; put it into {folder}, or name another shared folder"
            " in BAILIWICK_SHARED"
        )
    return folder


def scifact() -> SciFact:
    """The whole of SciFact as it lies in the shared folder."""
    folder = data_folder("scifact")
    csv.field_size_limit(sys.maxsize)
    with zipfile.ZipFile(folder / "scifact.zip") as archive:
        documents = {
            row["doc_id"]: (row["title"], sentences_of(row["abstract"]))
            for row in _rows(archive, "corpus_train.csv")
        }
        texts: dict[str, str] = {}
        gold: dict[str, set[tuple[str, int]]] = {}
        for name in ("claims_train.csv", "claims_validation.csv"):
            for row in _rows(archive, name):
                texts[row["id"]] = row["claim"]
                numbers = re.findall(r"\d+", row["evidence_sentences"]) if row["evidence_doc_id"] else []
                gold.setdefault(row["id"], set()).update((row["evidence_doc_id"], int(n)) for n in numbers)
    relevant: dict[str, dict[str, int]] = {}
    for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        relevant.setdefault(query, {})[document] = int(grade)
    claims = [Claim(name, text, frozenset(gold[name])) for name, text in sorted(texts.items())]
    return SciFact(documents, claims, relevant)


def sentences_of(cell: str) -> list[str]:
    """The sentences of an abstract's cell."""
    return [str(ast.literal_eval(found[0])) for found in _SENTENCE.finditer(cell)]


def ramdocs() -> list[dict[str, Any]]:
    """The questions of RAMDocs with their documents."""
    path = data_folder("ramdocs") / "RAMDocs_test.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _rows(archive: zipfile.ZipFile, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(archive.read(name).decode())))
