"""The doctor finds what is wrong, says the mend, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.server.office import Office


def _open_folder(office: Office) -> None:
    office.root.chmod(0o755)


def _open_keys(office: Office) -> None:
    (office.folder.keys_dir / "ring.json").chmod(0o644)


def _broken_policy(office: Office) -> None:
    (office.folder.policy_dir / "agents.cedar").write_text("permit")


def _broken_catalogue(office: Office) -> None:
    (office.folder.catalogue_dir / "desk.yaml").write_text("upstream: desk\n")


def _broken_workflow(office: Office) -> None:
    (office.folder.workflows_dir / "refund.yaml").write_text("workflow: refund\n")


def _broken_library(office: Office) -> None:
    office.folder.knowledge_path.write_bytes(b"not a database")


def _loose_secrets(office: Office) -> None:
    office.folder.secrets_file.chmod(0o604)


def _no_key(office: Office) -> None:
    for path in Path(office.root.parent / "config").rglob("*.json"):
        path.unlink()


def test_a_sound_installation_is_told_so(office: Office) -> None:
    said = office.say("doctor")
    assert said.code == 0
    assert "WRONG" not in said.out
    with office.served():
        said = office.say("doctor", "--json")
    assert said.code == 0
    found = {one["name"]: one["found"] for one in said.json}
    assert "is owned by process" in found["owner"]
    assert found["lexical search"].startswith("used")


@pytest.mark.parametrize(
    ("damage", "name", "mend"),
    [
        (_open_folder, "folder", "run `chmod 700"),
        (_open_keys, "server keys", "run `chmod 600"),
        (_broken_policy, "policies", "agents.cedar"),
        (_broken_catalogue, "catalogue", "desk.yaml:"),
        (_broken_workflow, "workflows", "refund.yaml:"),
        (_broken_library, "library", "is not a knowledge store"),
        (_loose_secrets, "secrets", "run `chmod 600"),
        (_no_key, "your key", "bailiwick key new"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)).strip("_"),
)
def test_what_is_wrong_is_found_with_its_mend(
    office: Office, damage: Callable[[Office], None], name: str, mend: str
) -> None:
    damage(office)
    said = office.say("doctor", "--json", by="" if damage is _no_key else "ada")
    assert said.code == 1
    wrong = {one["name"]: one["found"] for one in said.json if not one["right"]}
    assert mend in wrong[name]
