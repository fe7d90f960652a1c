"""The log can be proven by anybody, here and elsewhere, and what is wrong is named."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.server.office import Office, say


def test_a_log_that_nobody_touched_is_whole(office: Office) -> None:
    said = office.say("audit", "verify", "--json", by="")
    assert said.code == 0
    assert said.json["whole"] is True
    assert said.json["entries"] > 5
    with office.served():
        assert office.say("audit", "verify", by="").code == 0


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ("DELETE FROM log WHERE seq = 3", "Entry 3 is missing"),
        ("UPDATE log SET principal = 'eve' WHERE seq = 3", "entry 3"),
        ("DELETE FROM log WHERE seq >= 4", "its tail was cut"),
        ("UPDATE heads SET note = replace(note, 'bailiwick', 'bailiwitch')", "head"),
    ],
)
def test_the_first_thing_that_is_wrong_is_named(office: Office, damage: str, sentence: str) -> None:
    with closing(sqlite3.connect(office.root / "ledger.sqlite3")) as database:
        # Whoever can write the file can also take its guards away.
        guards = database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (guard,) in guards:
            database.execute(f"DROP TRIGGER {guard}")
        database.execute(damage)
        database.commit()
    said = office.say("audit", "verify", by="")
    assert said.code == 1
    assert sentence in said.err
    assert "not whole" in said.out


def test_an_export_is_verified_without_the_folder(office: Office, tmp_path: Path) -> None:
    exported = tmp_path / "log.jsonl"
    assert office.say("audit", "export", "--to", exported).code == 0
    whole = say("audit", "verify", exported, "--json").json
    assert whole["whole"] is True
    assert "compare them with keys that you trust" in whole["keys"]
    trusted = tmp_path / "first-line.jsonl"
    trusted.write_text(exported.read_text().splitlines()[0] + "\n")
    assert say("audit", "verify", exported, "--keys", trusted).code == 0
    lines = exported.read_text().splitlines(keepends=True)
    exported.write_text("".join(line.replace('"carol"', '"karol"') for line in lines))
    assert say("audit", "verify", exported).code == 1
    exported.write_text("".join(lines[:-1]))
    assert say("audit", "verify", exported).code == 1


def test_an_export_under_other_keys_is_not_trusted(office: Office, tmp_path: Path) -> None:
    exported, other = tmp_path / "log.jsonl", tmp_path / "other.jsonl"
    office.say("audit", "export", "--to", exported)
    first = json.loads(exported.read_text().splitlines()[0])
    first["head_keys"] = dict.fromkeys(first["head_keys"], "A" * 43 + "=")
    other.write_text(json.dumps(first) + "\n")
    assert say("audit", "verify", exported, "--keys", other).code == 1


@pytest.mark.parametrize(
    ("content", "sentence"), [(b"", "is empty"), (b"{}\n", "Line 1"), (b"\xff", "is no text")]
)
def test_what_is_no_export_is_told(tmp_path: Path, office: Office, content: bytes, sentence: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(content)
    said = say("audit", "verify", path)
    assert said.code == 2
    assert sentence in said.err
    assert say("audit", "verify", tmp_path / "nope.jsonl").code == 2


def test_only_an_admin_exports(office: Office) -> None:
    assert office.say("audit", "export", by="carol").code == 1


def test_the_head_is_a_signed_note(office: Office) -> None:
    note = office.say("audit", "head", by="dave").out
    assert note.startswith(office.folder.origin + "\n")
    assert office.say("audit", "head", "--json", by="dave").json["note"] == note
