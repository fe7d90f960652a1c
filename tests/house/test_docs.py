"""The documents for users and the code say the same."""

from __future__ import annotations

import re

import pytest
from pydantic import BaseModel

from policies.codes import CODES
from tests.house.tree import ROOT
from tool_scopes.catalogue_files import ViewFile
from tool_scopes.workflow_model import Checkpoints, Limits, StepContext, StepFile, WorkflowFile
from tool_scopes.workflows import POSTURES, StepKind

CODE_ROW = re.compile(r"^\| `(\w+)` \| (.+) \| (yes|no) \|$", re.MULTILINE)


def test_the_page_of_codes_is_the_table_of_codes_in_its_order() -> None:
    page = (ROOT / "docs" / "codes.md").read_text(encoding="utf-8")
    written = [(name, told, again == "yes") for name, told, again in CODE_ROW.findall(page)]
    assert written == [
        (code.name, code.message, code.retryable) for code in CODES.values() if code.name != "done"
    ]


@pytest.mark.parametrize("model", [WorkflowFile, StepFile, StepContext, Checkpoints, Limits])
def test_every_key_of_a_workflow_stands_in_its_page(model: type[BaseModel]) -> None:
    page = (ROOT / "docs" / "workflows.md").read_text(encoding="utf-8")
    assert [key for key in model.model_fields if f"{key}:" not in page] == []


def test_every_step_kind_stands_in_the_page_of_workflows() -> None:
    page = (ROOT / "docs" / "workflows.md").read_text(encoding="utf-8")
    assert [kind for kind in StepKind if f"| `{kind}` |" not in page] == []
    assert set(POSTURES) == set(StepKind)


def test_every_key_of_a_catalogue_view_stands_in_its_page() -> None:
    page = (ROOT / "docs" / "catalogue.md").read_text(encoding="utf-8")
    assert [key for key in ViewFile.model_fields if f"| `{key}` |" not in page] == []
