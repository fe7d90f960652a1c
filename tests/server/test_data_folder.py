"""A data folder is made whole or not at all, and one process owns it at a time."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from server.data_folder import DataFolder, create_folder, creating_folder, open_folder
from server.errors import BadInput, RuleRefused, Unavailable
from server.ownership import FolderOwned, own


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return create_folder(tmp_path / "data")


def test_a_new_folder_is_private_and_holds_keys_and_the_default_policies(folder: DataFolder) -> None:
    assert folder.root.stat().st_mode & 0o777 == 0o700
    assert (folder.keys_dir / "ring.json").stat().st_mode & 0o777 == 0o600
    assert folder.secrets_file.stat().st_mode & 0o777 == 0o600
    assert {path.suffix for path in folder.policy_dir.iterdir()} == {".cedar", ".cedarschema"}
    assert folder.origin == f"bailiwick/{folder.id}"
    assert open_folder(folder.root) == folder


def test_an_empty_folder_that_is_there_already_can_become_one(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert create_folder(tmp_path / "data").root == tmp_path / "data"


def test_nothing_stays_of_a_folder_whose_making_failed(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), creating_folder(tmp_path / "data"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_somebody_elses_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RuleRefused, match="not empty and no data folder"):
        create_folder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_data_folder_is_never_made_twice(folder: DataFolder) -> None:
    with pytest.raises(RuleRefused, match="is a data folder already"):
        create_folder(folder.root)


def test_a_file_is_no_place_for_a_folder(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    with pytest.raises(BadInput, match="is a file"):
        create_folder(tmp_path / "data")


@pytest.mark.parametrize(
    ("mark", "sentence"),
    [
        (None, "is no data folder of Bailiwick"),
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ('{"v": 2, "id": "fld_00000000000000000000000000"}', "another version"),
        ('{"v": 1, "id": "../../etc"}', "another version"),
    ],
)
def test_what_is_no_data_folder_is_not_opened(tmp_path: Path, mark: str | None, sentence: str) -> None:
    if mark is not None:
        (tmp_path / "folder.json").write_text(mark)
    with pytest.raises(BadInput, match=sentence):
        open_folder(tmp_path)


def test_a_second_owner_is_told_whose_the_folder_is(folder: DataFolder) -> None:
    whose = f"process {os.getpid()} at http://127.0.0.1:1;"
    with own(folder, "http://127.0.0.1:1", instance="own_1"):
        # A server is not waited for.
        with pytest.raises(FolderOwned, match=whose) as refused, own(folder, wait_s=60):
            pass
        assert refused.value.owner is not None
        assert refused.value.owner.url == "http://127.0.0.1:1"
    with own(folder):
        pass


def test_what_a_dead_owner_left_behind_does_not_count(folder: DataFolder) -> None:
    folder.owner_file.write_text(
        json.dumps({"pid": 1, "url": "http://127.0.0.1:1", "instance": "", "started": ""})
    )
    with own(folder):
        assert json.loads(folder.owner_file.read_bytes())["pid"] == os.getpid()
    assert not folder.owner_file.exists()


def test_an_owner_without_a_url_is_waited_for_and_then_named(folder: DataFolder) -> None:
    with own(folder), pytest.raises(FolderOwned, match=f"process {os.getpid()};"), own(folder, wait_s=0.1):
        pass


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be made"):
        create_folder(tmp_path / ("x" * 300))
