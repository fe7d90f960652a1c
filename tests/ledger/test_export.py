"""The log as a file: readable with any tool, and verified without the ledger."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.entries import Entry
from ledger.export import ExportError, read_export
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from ledger.verify import verify_log

ORIGIN = "bailiwick.test/ledger"


@pytest.fixture
def lines(ledger: Ledger) -> list[str]:
    ledger.append_now(Entry("run.opened", "acme", {"text": 'Grüße 🙂 \u2028 \\ " 1e21', "half": 0.5}))
    ledger.append_now(Entry("run.closed", "acme", {}), Entry("run.opened", "acme", {"n": -1}))
    return list(ledger.export())


def test_an_export_reads_back_and_verifies_offline(lines: list[str], ledger: Ledger, keys: KeyRing) -> None:
    exported = read_export(lines)
    assert exported.origin == ORIGIN
    assert exported.head_keys == keys.public_keys("head")
    report = verify_log(exported.lines, exported.heads, keys.public_keys("head"), origin=ORIGIN)
    assert (report.whole, report.entries, report.heads) == (True, 3, 2)
    assert report.last_head == ledger.head()


def test_an_export_is_json_lines_that_say_what_happened(lines: list[str]) -> None:
    values = [json.loads(line) for line in lines]
    assert values[0]["format"] == "bailiwick-log-1"
    assert [value["entry"]["kind"] for value in values[1:4]] == ["run.opened", "run.closed", "run.opened"]
    assert all("head" in value for value in values[4:])
    assert all(line.endswith("\n") and line.count("\n") == 1 for line in lines)


def test_an_edited_export_does_not_verify(lines: list[str], keys: KeyRing) -> None:
    lines[2] = lines[2].replace("run.closed", "run.opened")
    exported = read_export(lines)
    fault = verify_log(exported.lines, exported.heads, keys.public_keys("head"), origin=ORIGIN).fault
    assert fault is not None
    assert (fault.seq, fault.kind) == (2, "edited")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (1, ""),
        (1, "nonsense"),
        (1, '{"format":"bailiwick-log-9","origin":"x","head_keys":{}}'),
        (1, '{"format":"bailiwick-log-1","origin":"x","head_keys":{"k":7}}'),
        (1, '{"head":"early"}'),
        (2, "[]"),
        (2, '{"seq":1,"leaf":"zz","entry":{}}'),
        (2, '{"seq":1,"leaf":"00","damaged":"?"}'),
        (2, '{"seq":1,"leaf":"00"}'),
        (2, '{"format":"bailiwick-log-1","origin":"x","head_keys":{}}'),
    ],
)
def test_a_line_that_does_not_belong_into_an_export_is_named(lines: list[str], line: int, text: str) -> None:
    lines[line - 1] = text
    with pytest.raises(ExportError, match=f"Line {line} "):
        read_export(lines)


def test_an_empty_file_is_no_export() -> None:
    with pytest.raises(ExportError, match="empty"):
        read_export([])


OFFLINE = """
import sys
from ledger.export import read_export
from ledger.verify import verify_log

exported = read_export(sys.stdin)
report = verify_log(exported.lines, exported.heads, exported.head_keys, origin=exported.origin)
print(report.entries, report.whole)
"""


def test_an_export_verifies_in_another_process_without_any_database(lines: list[str], tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", OFFLINE],
        input="".join(lines),
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert said.stdout == "3 True\n"
    assert sorted(item.name for item in tmp_path.iterdir() if item.suffix == ".jsonl") == []
