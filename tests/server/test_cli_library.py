"""The library at the command line: folders and addresses come in, releases are compared and carried, and all
of it is backed up and restored.
"""

from __future__ import annotations

import json
import shutil
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.context_store.test_extractors import DOCUMENTS
from tests.server.office import Office, say

OLD = "# Refunds\n\nMoney goes back in 5 days.\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "texts"
    (root / "sub" / ".git").mkdir(parents=True)
    (root / "refunds.md").write_text(OLD)
    (root / "sub" / "fees.csv").write_text("Fee,EUR\nLate,5\n")
    shutil.copy(DOCUMENTS / "returns.docx", root / "sub")
    (root / "sub" / ".git" / "config.txt").write_text("hidden")
    (root / "picture.png").write_bytes(b"\x89PNG")
    return root


def publish(office: Office, *sources: str) -> None:
    office.say("source", "submit", *sources)
    office.say("source", "review", *sources, "--accept", by="carol")
    assert office.say("source", "publish", by="carol").code == 0


def test_a_folder_comes_in_whole_and_again_changes_nothing(office: Office, folder: Path) -> None:
    added = office.say("source", "add", folder)
    assert (added.code, added.out.split()) == (0, ["refunds@1", "sub-fees@1", "sub-returns@1"])
    assert "1 file of no kind that is read here was passed over" in added.err
    again = office.say("source", "add", folder, "--json")
    assert [one["outcome"] for one in again.json] == ["unchanged"] * 3
    (folder / "refunds.md").write_text(OLD.replace("5", "6"))
    assert "refunds@2" in office.say("source", "add", folder).out
    changed = office.say("source", "diff", "refunds").out
    assert "-Money goes back in 5 days." in changed
    assert "+Money goes back in 6 days." in changed


def test_what_is_bad_in_a_folder_is_named_and_the_rest_comes_in(office: Office, folder: Path) -> None:
    (folder / "empty.md").write_text("")
    (folder / "elsewhere.md").symlink_to(office.root / "folder.json")
    (folder / "round.md").symlink_to(folder / "round.md")
    said = office.say("source", "add", folder)
    assert said.code == 2
    assert len(said.out.split()) == 3
    assert "empty.md is empty" in said.err
    assert "elsewhere.md is a link that leaves the folder" in said.err
    assert "round.md is a link that leads to itself" in said.err
    assert "3 of 6 were refused; the others are in." in said.err


def test_the_data_folder_itself_is_never_imported(office: Office, tmp_path: Path) -> None:
    assert str(office.root).startswith(str(tmp_path))
    office.say("source", "add", tmp_path)
    assert "folder" not in office.say("source", "list").out


def test_an_import_through_a_server_is_the_same(office: Office, folder: Path) -> None:
    with office.served():
        added = office.say("source", "add", folder)
        assert (added.code, len(added.out.split())) == (0, 3)
        publish(office, "refunds", "sub-fees", "sub-returns")
        assert "5 days" in office.say("search", "when does the money go back").out


def test_an_address_is_fetched_where_the_setting_allows_it(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<title>Fees</title><h1>Fees</h1><p>The fee is 5 EUR.</p>")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}/fees"
        refused = office.say("source", "add", address)
        assert refused.code == 2
        assert "set fetch_private if you trust what answers there" in refused.err
        monkeypatch.setenv("BAILIWICK_FETCH_PRIVATE", "true")
        assert office.say("source", "add", address).id == "fees@1"
        assert office.say("source", "show", "fees", "--json").json["origin"] == address
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.slow
def test_releases_are_compared_examined_and_left_in_their_place(office: Office, folder: Path) -> None:
    office.say("source", "add", folder)
    publish(office, "refunds", "sub-fees")
    (folder / "refunds.md").write_text(OLD.replace("5", "6"))
    office.say("source", "add", folder / "refunds.md")
    office.say("source", "submit", "refunds")
    office.say("source", "review", "refunds", "--accept", by="carol")
    shown = office.say(
        "release", "candidate", "--need", "when does the money go back", "--json", by="carol"
    ).json
    assert (shown["release"], shown["added"], shown["superseded"]) == (2, ["refunds@2"], ["refunds@1"])
    assert ["5" in shown[when]["items"][0]["quote"] for when in ("now", "then")] == [True, False]
    assert office.say("release", "list", "--json").json[0]["release"] == 1
    office.say("source", "publish", by="carol")
    office.say("source", "add", folder / "sub" / "returns.docx")
    said = office.say("source", "retire", "sub-fees", "--reason", "no fees any more", by="carol")
    assert said.id == "3"
    assert "no fees any more" in office.say("audit", "export").out
    compared = office.say("release", "diff", "1", "--json").json
    assert compared["changed"] == [["refunds@1", "refunds@2"]]
    assert compared["removed"] == ["sub-fees@1"]
    before = office.say("search", "when does the money go back", "--release", "1").out
    assert "5 days" in before
    assert office.say("release", "diff", "1", "9").code == 2
    assert office.say("search", "money", "--release", "9").code == 2


@pytest.mark.slow
def test_an_exported_release_comes_into_another_folder_to_be_curated_there(
    office: Office, folder: Path, tmp_path: Path
) -> None:
    office.say("source", "add", folder)
    publish(office, "refunds", "sub-returns")
    file = tmp_path / "release.jsonl"
    assert office.say("release", "export", "1", file).out.strip() == str(file)
    again = office.say("release", "export", "1", file)
    assert (again.code, "not overwritten" in again.err) == (1, True)
    say("init", "--data", tmp_path / "other", "--admin", "zoe")
    brought = say("release", "import", file, "--data", tmp_path / "other", "--as", "zoe")
    assert (brought.code, brought.out.split()) == (0, ["refunds@1", "sub-returns@1"])
    file.write_bytes(file.read_bytes().replace(b"5 days", b"9 days"))
    assert say("release", "import", file, "--data", tmp_path / "other", "--as", "zoe").code == 2


@pytest.mark.slow
def test_a_backup_of_a_served_folder_is_restored_whole_and_frozen(
    office: Office, folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "backup.tar"
    office.bring_the_desk()
    with office.served():
        office.say("source", "add", folder)
        publish(office, "refunds")
        assert office.say("backup", file, by="dave").code == 1
        assert office.say("backup", file).id == str(file)
        (folder / "refunds.md").write_text(OLD.replace("5", "6"))
        office.say("source", "add", folder)
        publish(office, "refunds")
    assert file.stat().st_mode & 0o077 == 0
    restored = tmp_path / "restored"
    said = say("restore", file, "--data", restored)
    assert (said.id, "frozen" in said.err) == (str(restored), True)
    again = Office(restored, office.bot_key)
    assert [one["release"] for one in again.say("release", "list", "--json", "--data", restored).json] == [1]
    assert "5 days" in again.say("search", "when does the money go back", "--data", restored).out
    assert say("audit", "verify", "--data", restored).code == 0
    unfrozen = again.say("unfreeze", "--data", restored, "--json")
    assert (unfrozen.code, unfrozen.json["changed"]) == (0, True)
    assert say("restore", file, "--data", restored).code == 1


@pytest.mark.parametrize("damage", ["cut", "changed", "another", "leaves", "missing"])
def test_a_file_that_is_no_whole_backup_makes_no_folder(office: Office, tmp_path: Path, damage: str) -> None:
    file, bad = tmp_path / "backup.tar", tmp_path / "bad.tar"
    if damage != "missing":
        office.say("backup", file)
        make_bad(file, bad, damage)
    said = say("restore", bad, "--data", tmp_path / "restored")
    assert said.code == 2, said.err
    assert "Traceback" not in said.err
    assert not (tmp_path / "restored").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".restored")]


def make_bad(file: Path, bad: Path, damage: str) -> None:
    raw = file.read_bytes()
    if damage == "cut":
        bad.write_bytes(raw[: len(raw) // 2])
    elif damage == "another":
        bad.write_bytes(b"not a backup at all")
    else:
        with tarfile.open(file) as whole, tarfile.open(bad, "w") as made:
            for member in whole:
                content = whole.extractfile(member)
                assert content is not None
                if damage == "leaves" and member.name == "folder.json":
                    member.name = "../folder.json"
                if damage == "changed" and member.name == "folder.json":
                    value = json.dumps({"v": 1, "id": "fld_" + "0" * 26}).encode()
                    member.size = len(value)
                    import io

                    made.addfile(member, io.BytesIO(value))
                    continue
                made.addfile(member, content)
