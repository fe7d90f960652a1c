"""The official conformance suite against the production application, for both eras of the protocol."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.keyring import KeyRing
from policies.agents import enrol_agent
from policies.principals import Agent
from server.open_ledger import open_ledger
from tests.conformance import fixtures
from tests.rooms.stage import found_stage

pytestmark = [pytest.mark.conformance, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
EXPECTED = Path(__file__).with_name("expected-failures.yml")

EVERYWHERE = {
    "test_simple_text", "test_image_content", "test_audio_content", "test_embedded_resource",
    "test_multiple_content_types", "test_tool_with_progress", "test_error_handling",
    "test://static-text", "test://static-binary", "test://template/123/data",
    "test_simple_prompt", "test_prompt_with_arguments", "test_prompt_with_embedded_resource",
    "test_prompt_with_image", "tools/list", "prompts/list", "resources/list",
}  # fmt: skip
CALLED = {
    "2025-11-25": EVERYWHERE | {
        "test_tool_with_logging", "test_sampling", "test_elicitation", "test_elicitation_sep1034_defaults",
        "test_elicitation_sep1330_enums", "logging/setLevel",
        "resources/subscribe test://watched-resource", "resources/unsubscribe test://watched-resource",
    },
    "2026-07-28": EVERYWHERE | {
        "resources/templates/list", "test_missing_capability", "test_streaming_elicitation",
        "test_logging_tool", "test_input_required_result_elicitation",
        "test_input_required_result_sampling", "test_input_required_result_list_roots",
        "test_input_required_result_request_state", "test_input_required_result_tampered_state",
        "test_input_required_result_multiple_inputs", "test_input_required_result_multi_round",
        "test_input_required_result_capabilities", "test_input_required_result_prompt",
    },
}  # fmt: skip
"""What each revision's scenarios must really have called."""


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A data folder, and the key of an agent in it."""
    stage = found_stage(tmp_path_factory.mktemp("conformance") / "data")
    folder = stage.folder
    with open_ledger(folder, KeyRing.load(folder.keys_dir), None) as ledger:
        key = ledger.transact_now(lambda tx: enrol_agent(tx, Agent("bot", "acme", "olga"), by="olga"))
    return folder.root, key


@pytest.fixture
def served(founded: tuple[Path, str], tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The application in a process of its own: its URL, and the file of what was called."""
    called = tmp_path / "called.json"
    command = [sys.executable, "-m", "tests.conformance.served", str(founded[0]), founded[1], str(called)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), called
        finally:
            process.terminate()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("revision", CALLED)
def test_every_required_scenario_passes_and_really_called_its_fixture(
    served: tuple[str, Path], revision: str, tmp_path: Path
) -> None:
    url, called = served
    suite = shutil.which("conformance")
    assert suite is not None
    asked = [suite, "server", "--url", url, "--requirements", revision, "-o", str(tmp_path / "out")]
    asked += ["--expected-failures", str(EXPECTED), "--timeout", "120000"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=380, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    assert CALLED[revision] - json.loads(called.read_text()).keys() == set()


def test_no_fixture_is_part_of_the_product() -> None:
    names = re.findall(r"def (test_\w+)", Path(fixtures.__file__).read_text("utf-8"))
    assert len(names) > 25
    floors = ("server", "tool_scopes", "context_store", "policies", "ledger", "examples")
    sources = "\n".join(path.read_text("utf-8") for floor in floors for path in (ROOT / floor).rglob("*.py"))
    assert [name for name in names if name in sources] == []
    assert "tests.conformance" not in sources
