"""A witness of one's own over HTTP, as a person sets it up, and the audit against what it kept."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from ledger.errors import LedgerDamaged
from server.witness_folder import open_witness
from tests.server.office import COMMAND, ROOT, Office, say


@contextmanager
def serving_witness(folder: Path) -> Generator[str]:
    """`bailiwick witness serve` as a process; its URL."""
    command = [*COMMAND, "witness", "serve", str(folder), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


@pytest.fixture
def witness(tmp_path: Path, office: Office) -> Path:
    """A witness that knows the office's log."""
    folder = tmp_path / "witness"
    assert say("witness", "init", folder, "--name", "w.example").code == 0
    assert say("witness", "trust", folder, head_key(office)).id == office.folder.origin
    return folder


def head_key(office: Office) -> str:
    keys = office.say("key", "ring", "--json").json
    return str(
        next(key["public_key"] for key in keys if (key["purpose"], key["state"]) == ("head", "newest"))
    )


def test_a_server_tells_its_witness_and_the_audit_asks_it(
    office: Office, witness: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with serving_witness(witness) as url:
        monkeypatch.setenv("BAILIWICK_WITNESS", url)
        monkeypatch.setenv("BAILIWICK_WITNESS_KEY", open_witness(witness).verifier_key)
        with office.served():
            (row,) = say("witness", "list", witness, "--json").json
            assert row["log"] == office.folder.origin
            assert row["size"] > 5
        audit = office.say("audit", "verify", "--json", by="").json
        assert (audit["whole"], audit["witnessed"]) == (True, 2)
        exported = tmp_path / "log.jsonl"
        office.say("audit", "export", "--to", exported)
        assert say("audit", "verify", exported, "--witness", url).code == 0
        # case_56: the tail cut with its heads, from an export, is caught by what the witness kept
        lines = exported.read_text().splitlines(keepends=True)
        entries = [line for line in lines if line.startswith('{"seq"')]
        heads = [line for line in lines if line.startswith('{"head"')]
        kept = [head for head in heads if int(json.loads(head)["head"].split("\n")[1]) < 6]
        size = int(json.loads(kept[-1])["head"].split("\n")[1])
        exported.write_text("".join([lines[0], *entries[:size], *kept]))
        assert say("audit", "verify", exported).code == 0
        caught = say("audit", "verify", exported, "--witness", url)
        assert caught.code == 1
        assert f"The log ends with entry {size}" in caught.err
        assert (
            say(
                "audit",
                "verify",
                exported,
                "--witness",
                witness / "heads" / next(iter((witness / "heads").iterdir())).name,
            ).code
            == 1
        )


def test_case_60_a_rolled_back_ledger_is_refused_by_its_witness_with_what_to_do(
    office: Office, witness: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ledger = office.root / "ledger.sqlite3"
    with closing(sqlite3.connect(ledger)) as live, closing(sqlite3.connect(tmp_path / "old.db")) as old:
        live.backup(old)
    with serving_witness(witness) as url:
        monkeypatch.setenv("BAILIWICK_WITNESS", url)
        monkeypatch.setenv("BAILIWICK_WITNESS_KEY", open_witness(witness).verifier_key)
        with office.served():
            assert office.say("freeze").code == 0
        for part in ("-wal", "-shm"):
            Path(f"{ledger}{part}").unlink(missing_ok=True)
        ledger.write_bytes((tmp_path / "old.db").read_bytes())
        office.folder.newest_head_file.unlink()  # whoever restores a whole folder takes the mark along
        with pytest.raises((LedgerDamaged, AssertionError), match=r"w\.example saw"), office.served():
            pass


def test_what_a_witness_cannot_be_is_said(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "witness"
    assert "spaces" in say("witness", "init", folder, "--name", "two words").err
    assert say("witness", "init", folder, "--name", "w.example").code == 0
    assert say("witness", "init", folder, "--name", "w.example").code == 1
    assert say("witness", "trust", folder, "nonsense").code == 2
    assert say("witness", "list", tmp_path).code == 2
    assert say("witness", "list", folder).code == 0
    for name, value, sentence in (
        ("WITNESS", "http://127.0.0.1:9", "witness_key must hold"),
        ("WITNESS", str(office.root / "heads.json"), "lies in the data folder"),
        ("WITNESS", str(tmp_path / "nowhere" / "heads.json"), "There is no folder"),
    ):
        monkeypatch.setenv(f"BAILIWICK_{name}", value)
        said = office.say("serve", "--port", "0", by="")
        assert said.code == 2
        assert sentence in said.err
    assert office.say("audit", "verify", "--witness", tmp_path / "nope", by="").code == 2


def test_an_entry_and_an_extension_are_proven_and_checked_anywhere(office: Office, tmp_path: Path) -> None:
    inclusion = office.say("audit", "prove", "--entry", "3")
    assert inclusion.code == 0, inclusion.err
    proof = tmp_path / "proof.json"
    proof.write_text(inclusion.out)
    said = say("audit", "verify", proof)
    assert said.code == 0
    assert "entry 3 (" in said.out
    proof.write_text(inclusion.out.replace('"seq": 3', '"seq": 4', 1))
    wrong = say("audit", "verify", proof, "--json")
    assert (wrong.code, wrong.json["whole"]) == (1, False)
    sizes = [
        int(line.split("\\n")[1])
        for line in office.say("audit", "export").out.splitlines()
        if '"head"' in line
    ]
    proof.write_text(office.say("audit", "prove", "--since", str(sizes[0]), by="dave").out)
    assert "extends that of" in say("audit", "verify", proof).out
    assert office.say("audit", "prove").code == 2
    assert office.say("audit", "prove", "--entry", "99999").code == 2
    assert office.say("audit", "prove", "--entry", "1", by="dave").code == 1
    proof.write_text('{"format": "bailiwick-proof-1"}')
    assert say("audit", "verify", proof).code == 2


def test_an_export_for_a_siem_is_made_of_ocsf_events_and_still_verifies(
    office: Office, tmp_path: Path
) -> None:
    exported = tmp_path / "events.jsonl"
    assert office.say("audit", "export", "--ocsf", "--to", exported).code == 0
    assert say("audit", "verify", exported).code == 0
    events = [json.loads(line) for line in exported.read_text().splitlines() if '"class_uid"' in line]
    assert len(events) > 5
    required = {
        *("class_uid", "category_uid", "activity_id", "type_uid", "time", "severity_id", "metadata"),
        *("actor", "api", "src_endpoint"),
    }
    for event in events:
        assert required <= event.keys()
        assert (event["class_uid"], event["category_uid"], event["metadata"]["version"]) == (6003, 6, "1.4.0")
        assert event["type_uid"] == 600300 + event["activity_id"]
        assert event["api"]["operation"] == event["unmapped"]["entry"]["kind"]
    exported.write_text(exported.read_text().replace('"carol"', '"karol"'))
    assert say("audit", "verify", exported).code == 1


def test_keys_of_the_server_are_listed_rotated_and_retired_at_the_command_line(office: Office) -> None:
    old = next(key for key in office.say("key", "ring", "--json").json if key["purpose"] == "head")
    assert office.say("key", "retire", old["kid"]).code == 1
    assert office.say("key", "rotate", "head", by="carol").code == 1
    new = office.say("key", "rotate", "head").id
    states = {key["kid"]: key["state"] for key in office.say("key", "ring", "--json").json}
    assert (states[old["kid"]], states[new]) == ("overlapping", "newest")
    with office.served():
        assert office.say("key", "retire", old["kid"]).id == old["kid"]
        assert office.say("key", "retire", old["kid"]).code == 1
        assert office.say("key", "retire", "0" * 16).code == 2
    assert "retired" in office.say("key", "ring").out
    assert office.say("audit", "verify", by="").code == 0
    assert office.say("audit", "verify", "--quick", by="").code == 0


def test_case_62_a_table_that_says_otherwise_than_the_log_is_named(office: Office) -> None:
    with closing(sqlite3.connect(office.root / "ledger.sqlite3")) as database:
        database.execute("PRAGMA ignore_check_constraints=ON")
        names = [row[1] for row in database.execute("PRAGMA table_info(executions)") if row[3]]
        row = {name: 5 if name.endswith("_ms") or name == "epoch" else "x" for name in names} | {
            "id": "exe_made_up",
            "state": "executing",
        }
        places = ", ".join("?" for _ in row)
        database.execute(f"INSERT INTO executions ({', '.join(row)}) VALUES ({places})", list(row.values()))  # noqa: S608
        database.commit()
    said = office.say("audit", "verify", by="")
    assert said.code == 1
    assert "exe_made_up is unknown, the table of executions that it is executing" in said.err
