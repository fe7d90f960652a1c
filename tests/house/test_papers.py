"""The papers speak of files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house.tree import FLOORS, ROOT, project_files

PAPERS = [
    path
    for path in project_files()
    if path.suffix == ".md"
    and (path.parts[0] == "docs" or len(path.parts) == 1)
    and path.name != "CHANGELOG.md"
]
NAMED_FILE = re.compile(
    r"`((?:" + "|".join((*FLOORS, "tests", "docs", "examples", "benchmarks")) + r")/[\w./-]*)`"
)


def test_there_are_papers_to_look_at() -> None:
    assert len(PAPERS) > 5


@pytest.mark.parametrize("paper", PAPERS, ids=str)
def test_every_file_or_folder_that_a_paper_names_exists(paper: Path) -> None:
    named = NAMED_FILE.findall((ROOT / paper).read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("paper", [path for path in PAPERS if path.parts[:2] == ("docs", "adr")], ids=str)
def test_a_decision_says_its_context_and_its_consequences(paper: Path) -> None:
    text = (ROOT / paper).read_text(encoding="utf-8")
    headings = re.findall(r"^## (\w+)", text, flags=re.MULTILINE)
    assert headings == ["Context", "Decision", "Consequences"]
    assert text.startswith(f"# {int(paper.name[:4])}. ")
