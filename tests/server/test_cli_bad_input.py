"""Every command answers bad input with one sentence on stderr, a documented exit code, and nothing done."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.server.office import Office, say

SENTENCES = [
    # command line, exit code, what the sentence says
    (["run", "show", "run_nope"], 2, "There is no run run_nope; `bailiwick run list`"),
    (["run", "trace", "run_nope"], 2, "There is no run run_nope"),
    (["run", "cancel", "run_nope"], 2, "There is no run run_nope"),
    (["run", "resolve", "run_nope"], 2, "Say one of --continue, --send-back and --stop."),
    (["run", "open", "refund", "--agent", "nobody"], 2, "There is no agent nobody"),
    (["run", "open", "refund", "--agent", "bot", "--input", "{"], 2, "--input cannot be read"),
    (["run", "open", "refund", "--agent", "bot", "--input", "[]"], 2, "--input is a JSON object"),
    (["run", "open", "refund", "--agent", "bot"], 2, "there is no workflow refund"),
    (["approval", "show", "req_nope"], 2, "There is no request req_nope"),
    (["approval", "approve", "req_nope"], 2, "There is no request req_nope"),
    (["bundle", "show", "bnd_nope"], 2, "There is no bundle bnd_nope"),
    (["source", "show", "nope@1"], 2, "There is no version nope@1"),
    (["source", "show", "../etc"], 2, "There is no version ../etc"),
    (["source", "submit", "nope@1"], 2, "There is no version nope@1"),
    (["source", "review", "nope@1"], 2, "Say --accept or --send-back."),
    (["source", "publish"], 1, "There is nothing to publish"),
    (["release", "show", "7"], 2, "There is no release 7"),
    (["workflow", "show", "nope"], 2, "There is no workflow nope"),
    (["upstream", "diff", "nope"], 2, "There is no upstream nope"),
    (["upstream", "diff", "../keys/ring"], 2, "There is no upstream ../keys/ring"),
    (["upstream", "accept", "nope"], 2, "There is no upstream nope"),
    (["upstream", "add", "desk"], 2, "give a command after --, or a --url"),
    (["upstream", "add", "No", "--", "true"], 2, "upstream"),
    (["upstream", "add", "desk", "--env", "X", "--", "true"], 2, "--env is written NAME=value"),
    (["upstream", "add", "desk", "--", "/no/such/program"], 3, "upstream desk is not running"),
    (["upstream", "add", "desk", "--url", "http://me:x@127.0.0.1/mcp"], 2, "credentials do not belong here"),
    (["agent", "add", "bot"], 1, "There is an agent bot already"),
    (["agent", "add", "Bot!"], 2, "'Bot!' cannot name an agent"),
    (["agent", "add", "two", "--owner", "nobody"], 1, "nobody"),
    (["agent", "revoke", "nope"], 2, "There is no agent nope"),
    (["person", "add", "eve", "--role", "reviewer", "--public-key", "junk"], 2, "is no public key"),
    (["person", "add", "eve", "--role", "king", "--public-key", "junk"], 1, "roles"),
    (["person", "revoke", "nope"], 1, "There is no person nope"),
    (["person", "revoke", "ada"], 1, "ada cannot revoke themselves"),
    (["key", "revoke", "nope"], 2, "There is no key nope"),
    (["freeze", "--agent", "nope"], 2, "There is no agent nope"),
    (["search", ""], 2, "`need` cannot be used"),
]


@pytest.mark.parametrize(("words", "code", "sentence"), SENTENCES, ids=lambda value: str(value)[:60])
def test_bad_input_is_one_sentence(office: Office, words: list[str], code: int, sentence: str) -> None:
    before, words_first = words.index("--") if "--" in words else len(words), words[:]
    words_first[before:before] = ["--as", "ada"]
    said = say(*words_first)
    assert said.code == code, said.err
    assert said.out == ""
    lines = [line for line in said.err.splitlines() if line.startswith("bailiwick: ")]
    assert len(lines) == 1
    assert sentence in lines[0]
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nope"], "No such command 'nope'"),
        (["run", "nope"], "No such command 'nope'"),
        (["run", "show"], "Missing argument 'RUN'. See `bailiwick run show --help`."),
        (["run", "list", "--nope"], "No such option: --nope"),
        (["release", "show", "x"], "Invalid value for 'NUMBER'"),
    ],
)
def test_bad_usage_is_one_sentence_that_names_the_help(
    office: Office, words: list[str], sentence: str
) -> None:
    said = office.say(*words, by="")
    assert (said.code, said.out) == (2, "")
    assert sentence in said.err
    assert said.err.count("\n") == 1


def test_a_group_alone_shows_its_help() -> None:
    said = say("run")
    assert said.code == 2
    assert "Usage: bailiwick run" in said.out


def test_an_unknown_folder_is_told_how_to_be_made(tmp_path: Path, office: Office) -> None:
    for words in (
        ["run", "list"],
        ["doctor"],
        ["serve"],
        ["stdio"],
        ["audit", "verify"],
        ["policy", "check"],
    ):
        said = say(*words, "--data", tmp_path / "nowhere")
        assert said.code == 2, words
        assert f"make it with `bailiwick init --data {tmp_path / 'nowhere'}`" in said.err


def test_a_key_that_others_can_read_is_refused_with_its_mend(office: Office, tmp_path: Path) -> None:
    key = next((tmp_path / "office" / "config").rglob("ada.json"))
    key.chmod(0o644)
    said = office.say("run", "list")
    assert said.code == 2
    assert f"run `chmod 600 {key}`" in said.err


def test_a_key_inside_the_data_folder_is_refused(office: Office) -> None:
    said = office.say("key", "new", "eve", "--to", office.root / "eve.json", by="")
    assert said.code == 2
    assert "keep personal keys outside of it" in said.err
    assert not (office.root / "eve.json").exists()


@pytest.mark.parametrize("content", ["", "{}", "not json", '{"v": 1, "person": "ada"}'])
def test_a_damaged_key_file_is_refused_without_being_quoted(
    office: Office, tmp_path: Path, content: str
) -> None:
    path = tmp_path / "key.json"
    path.write_text(content)
    path.chmod(0o600)
    said = office.say("run", "list", "--key", path, by="")
    assert said.code == 2
    assert "is no personal key file" in said.err


def test_whoever_holds_several_keys_says_which(office: Office) -> None:
    said = office.say("run", "list", by="")
    assert said.code == 2
    assert "several keys for this data folder: ada, carol, dave; say which with --as." in said.err
    assert "There is no key of eve" in office.say("run", "list", by="eve").err


def test_an_enrolled_name_with_a_strangers_key_is_refused(office: Office, tmp_path: Path) -> None:
    office.say("key", "new", "ada", "--to", tmp_path / "fake.json", by="").id  # noqa: B018
    said = office.say("person", "list", "--key", tmp_path / "fake.json", by="")
    assert said.code == 1
    assert "is not enrolled here" in said.err


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("empty.md", b"", "is empty"),
        ("blank.md", b"\n \n", "is empty"),
        ("latin.md", "Ä".encode("latin-1"), "UTF-8"),
        ("zero.txt", b"a\x00b", "zero.txt"),
        ("slides.pptx", b"PK", "convert it first"),
    ],
)
def test_a_file_that_cannot_be_a_source_keeps_nothing(
    office: Office, tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)
    said = office.say("source", "add", tmp_path / name)
    assert said.code == 2
    assert sentence in said.err
    assert office.say("source", "list", "--json").json == []


def test_a_missing_file_and_an_empty_folder_are_no_sources(office: Office, tmp_path: Path) -> None:
    assert "There is no file" in office.say("source", "add", tmp_path / "nope.md").err
    (tmp_path / "nothing").mkdir()
    empty = office.say("source", "add", tmp_path / "nothing")
    assert (empty.code, "holds no file that can be imported" in empty.err) == (2, True)


def test_a_ledger_that_is_no_database_is_unavailable(office: Office) -> None:
    (office.root / "ledger.sqlite3").write_bytes(b"not a database, but long enough to be looked at" * 50)
    for words in (["run", "list"], ["agent", "list"]):
        said = office.say(*words)
        assert said.code == 3, said.err
        assert "Traceback" not in said.err
    assert office.say("doctor").code == 1


def test_a_ledger_of_another_version_is_named(office: Office) -> None:
    with closing(sqlite3.connect(office.root / "ledger.sqlite3")) as database:
        database.execute("ALTER TABLE agents ADD COLUMN other TEXT")
        database.commit()
    said = office.say("run", "list")
    assert said.code == 3
    assert "of another version of Bailiwick" in said.err


def test_broken_policies_are_named_by_their_check_and_those_in_force_go_on(office: Office) -> None:
    (office.folder.policy_dir / "mine.cedar").write_text(
        "permit (principal, action, resource) when { nonsense };"
    )
    said = office.say("policy", "check", by="")
    assert said.code == 2
    assert "mine.cedar" in said.err
    assert office.say("policy", "load").code == 2
    assert "WRONG" in office.say("doctor").out
    assert office.say("run", "list").code == 0


def test_a_workflow_with_an_unknown_tool_is_refused_with_its_line(office: Office) -> None:
    office.bring_the_desk()
    path = office.folder.workflows_dir / "refund.yaml"
    path.write_text(path.read_text().replace("[desk__get_order]", "[desk__no_such_tool]"))
    said = office.say("workflow", "check", by="")
    assert said.code == 2
    assert "refund.yaml:" in said.err
    assert "desk__no_such_tool, which the catalogue does not offer" in said.err
