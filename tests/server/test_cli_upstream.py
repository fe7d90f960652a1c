"""Adding an upstream drafts a catalogue that claims nothing; what changes afterwards is accepted as seen."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from examples.refund_desk import seed
from tests.server.office import ROOT, Office


@pytest.fixture
def command(office: Office, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How the example desk is started; upstreams run in the folder that the command was given in."""
    seed.seed(office.root / "desk.db")
    monkeypatch.chdir(ROOT)
    return ["--", "${PYTHON}", "-m", "examples.refund_desk", "--db", "${DATA}/desk.db"]


def add(office: Office, command: list[str], *options: str) -> list[str]:
    return ["upstream", "add", "desk", "--as", "ada", *options, *command]


def test_an_added_upstream_is_drafted_with_every_tool_a_hidden_write(
    office: Office, command: list[str]
) -> None:
    said = office.say(*add(office, command), by="")
    assert said.code == 0, said.err
    assert said.out.startswith("desk\n")
    assert "refund_order" in said.out
    assert f"edit {office.folder.catalogue_dir / 'desk.yaml'}" in said.err
    assert "bailiwick workflow check" in said.err
    views = office.say("upstream", "list", "--json").json[0]["views"]
    assert len(views) == 5
    assert all(view["hidden"] and view["effect"] == "write" for view in views)
    again = office.say(*add(office, command), by="")
    assert again.code == 1
    assert "There is an upstream desk already" in again.err


def test_with_a_running_server_the_draft_waits_for_its_next_start(office: Office, command: list[str]) -> None:
    with office.served():
        said = office.say(*add(office, command), by="")
        assert said.code == 0, said.err
        assert "restart it" in said.err
        assert office.say("upstream", "list", "--json").json == []
    with office.served():
        assert office.say("upstream", "list", "--json").json[0]["running"] is True


def test_only_an_admin_adds_upstreams(office: Office, command: list[str]) -> None:
    said = office.say("upstream", "add", "desk", "--as", "carol", *command, by="")
    assert said.code == 1
    assert not (office.folder.catalogue_dir / "desk.yaml").exists()


def test_an_upstream_that_does_not_start_leaves_no_file(office: Office) -> None:
    said = office.say(
        "upstream", "add", "desk", "--as", "ada", "--", sys.executable, "-c", "raise SystemExit(4)", by=""
    )
    assert said.code == 3
    assert "its own messages are in" in said.err
    assert not (office.folder.catalogue_dir / "desk.yaml").exists()


def test_what_changed_is_shown_and_accepted_as_it_was_seen(office: Office, command: list[str]) -> None:
    assert office.say(*add(office, command), by="").code == 0
    same = office.say("upstream", "diff", "desk")
    assert same.out == "5 tools are as they were accepted.\n"
    nothing = office.say("upstream", "accept", "desk")
    assert nothing.code == 2
    assert "every tool of desk is as it was" in nothing.err
    path = office.folder.catalogue_dir / "desk.yaml"
    accepted = path.read_text()
    line = next(line for line in accepted.splitlines() if "fingerprint: sha256:" in line)
    path.write_text(accepted.replace(line, line[:-1] + ("0" if line[-1] != "0" else "1")) + "# my own note\n")
    diff = office.say("upstream", "diff", "desk", "--json").json
    assert [one["tool"] for one in diff["differences"]] == ["add_order_note"]
    assert diff["same"] == 4
    assert office.say("upstream", "accept", "desk", "get_order").code == 2
    assert "add_order_note" in office.say("upstream", "accept", "desk").out
    assert path.read_text() == accepted + "# my own note\n"


def test_a_changed_definition_is_shown_line_by_line(office: Office, command: list[str]) -> None:
    assert office.say(*add(office, command), by="").code == 0
    kept = office.folder.accepted_dir / "desk.json"
    kept.write_text(kept.read_text().replace("One order:", "One single order:"))
    path = office.folder.catalogue_dir / "desk.yaml"
    text = path.read_text()
    at = text.index("fingerprint: sha256:", text.index("  get_order:")) + len("fingerprint: sha256:")
    path.write_text(text[:at] + ("0" * 64) + text[at + 64 :])
    out = office.say("upstream", "diff", "desk").out
    assert '-  "description": "One single order:' in out
    assert '+  "description": "One order:' in out


def test_a_tool_that_the_file_does_not_name_has_to_be_written_there_first(
    office: Office, command: list[str]
) -> None:
    assert office.say(*add(office, command), by="").code == 0
    path = office.folder.catalogue_dir / "desk.yaml"
    text = path.read_text()
    start = text.index("  # Add a note")
    path.write_text(text[:start] + text[text.index("  # What a refund would do") :])
    diff = office.say("upstream", "diff", "desk")
    assert "add_order_note is new: nobody can call it until desk.yaml has an entry for it" in diff.out
    assert office.say("upstream", "accept", "desk", "add_order_note").code == 2


def test_a_secret_is_named_in_the_file_and_never_written_there(
    office: Office, command: list[str], tmp_path: Path
) -> None:
    office.folder.secrets_file.write_text("DESK_TOKEN=hunter2\n")
    said = office.say(*add(office, command, "--env", "TOKEN=${DESK_TOKEN}"), by="")
    assert said.code == 0, said.err
    assert "${DESK_TOKEN}" in (office.folder.catalogue_dir / "desk.yaml").read_text()
    assert all(
        b"hunter2" not in path.read_bytes()
        for path in office.root.rglob("*")
        if path.is_file() and path.name != "secrets.env"
    )
    missing = office.say("upstream", "add", "other", "--as", "ada", "--env", "T=${NOPE}", *command, by="")
    assert missing.code == 3
    assert "${NOPE} is not in the secrets file" in missing.err
