"""People, keys and agents are enrolled under an admin's signature, listed, and revoked at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.server.office import Office, say


def test_a_folder_is_founded_with_its_admin_and_their_key(
    tmp_path: Path, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = say(
        "init",
        "--data",
        tmp_path / "new",
        "--admin",
        "eve",
        "--tenant",
        "acme",
        "--role",
        "reviewer",
        "--json",
    )
    assert made.code == 0
    assert made.json["roles"] == ["admin", "reviewer"]
    key = Path(made.json["key_file"])
    assert key.stat().st_mode & 0o777 == 0o600
    assert not key.is_relative_to(tmp_path / "new")
    people = say("person", "list", "--data", tmp_path / "new", "--json").json
    assert [(one["person"], one["tenant"]) for one in people] == [("eve", "acme")]
    again = say("init", "--data", tmp_path / "new", "--admin", "eve")
    assert again.code == 1
    monkeypatch.setattr("getpass.getuser", lambda: "Somebody Else")
    assert "admin is admin of tenant main" in say("init", "--data", tmp_path / "other").err


@pytest.mark.parametrize("options", [["--admin", "No Name"], ["--admin", "eve", "--tenant", "-"]])
def test_nothing_is_left_of_a_founding_that_failed(
    tmp_path: Path, office: Office, options: list[str]
) -> None:
    keys = sorted((tmp_path / "office" / "config").rglob("*.json"))
    assert say("init", "--data", tmp_path / "new", *options).code == 2
    assert not (tmp_path / "new").exists()
    assert sorted((tmp_path / "office" / "config").rglob("*.json")) == keys


def test_a_key_that_cannot_be_written_undoes_the_founding(tmp_path: Path, office: Office) -> None:
    (tmp_path / "taken.json").write_text("mine")
    said = say("init", "--data", tmp_path / "new", "--admin", "eve", "--key", tmp_path / "taken.json")
    assert said.code == 2
    assert "a key is never overwritten" in said.err
    assert not (tmp_path / "new").exists()


def test_a_person_is_enrolled_gets_more_keys_and_is_revoked(office: Office, tmp_path: Path) -> None:
    made = office.say("key", "new", "eve", "--json", by="").json
    enrolled = office.say(
        "person",
        "add",
        "eve",
        "--role",
        "reviewer",
        "--alias",
        "eve.b",
        f"--public-key={made['public_key']}",
        "--json",
    )
    assert enrolled.json["kid"] == made["kid"]
    second = office.say("key", "new", "eve", "--to", tmp_path / "second.json", by="").id
    assert office.say("person", "add", "eve", "--role", "reviewer", f"--public-key={second}").id == "eve"
    keys = [one for one in office.say("key", "list", "--json").json if one["person"] == "eve"]
    assert [one["revoked"] for one in keys] == [None, None]
    assert office.say("person", "list", "--key", tmp_path / "second.json", by="").code == 0
    assert office.say("key", "revoke", made["kid"]).id == made["kid"]
    assert office.say("person", "list", by="eve").code == 1
    assert office.say("person", "list", "--key", tmp_path / "second.json", by="").code == 0
    assert office.say("person", "revoke", "eve").id == "eve"
    assert office.say("person", "list", "--key", tmp_path / "second.json", by="").code == 1


def test_only_an_admin_enrols(office: Office) -> None:
    key = office.say("key", "new", "eve", by="").id
    said = office.say("person", "add", "eve", "--role", "admin", f"--public-key={key}", by="carol")
    assert said.code == 1
    assert "carol may not do person.add" in said.err


def test_an_agent_gets_its_key_once_and_is_revoked(office: Office) -> None:
    added = office.say("agent", "add", "second", "--owner", "carol", "--json").json
    assert added["owner"] == "carol"
    assert added["key"].startswith("bwk_")
    assert added["key"] not in office.say("agent", "list", "--json").out
    assert all(
        added["key"].encode() not in path.read_bytes() for path in office.root.rglob("*") if path.is_file()
    )
    assert office.say("agent", "revoke", "second").id == "second"
    assert office.say("agent", "revoke", "second").code == 2
    assert [one["revoked"] is None for one in office.say("agent", "list", "--json").json] == [True, False]


def test_policies_are_checked_without_a_key(office: Office, tmp_path: Path) -> None:
    checked = office.say("policy", "check", by="")
    assert checked.code == 0
    assert "writes-need-approval" in checked.out.splitlines()
    assert office.say("policy", "check", "--json", by="").json["policies"] == checked.out.splitlines()
    assert office.say("policy", "check", tmp_path, by="").code == 2


def test_workflows_are_checked_without_a_key_and_explained_step_by_step(office: Office) -> None:
    office.bring_the_desk()
    told = office.say("workflow", "check", by="").out
    assert "execute (execute): Pay the refund that people approved, once." in told
    assert "tools: desk__refund_order" in told
    one = office.say("workflow", "check", office.folder.workflows_dir / "refund.yaml", "--json", by="").json
    assert one == [office.say("workflow", "show", "refund", "--json").json]
