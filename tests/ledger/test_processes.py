"""Several processes, and their sudden end: what was acknowledged is there, in one log that is whole."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.entries import Entry
from ledger.keyring import KeyRing
from ledger.ledger import Ledger

ORIGIN = "bailiwick.test/ledger"

APPENDING = """
import asyncio, sys
from pathlib import Path
from ledger.entries import Entry, RestsOn
from ledger.keyring import KeyRing
from ledger.ledger import Ledger

async def append_for_ever(ledger, name):
    while True:
        edge = RestsOn(name, "cites", "policy-14@3")
        seq = await ledger.append(Entry("call.answered", "acme", {"by": name}, rests_on=(edge,)))
        print(seq, flush=True)

async def main(folder, name):
    keys = KeyRing.load(Path(folder, "keys"))
    ledger = Ledger.open(f"sqlite:///{folder}/ledger.db", keys, origin=sys.argv[3])
    await asyncio.gather(*(append_for_ever(ledger, f"{name}-{worker}") for worker in range(4)))

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""

SPENDING = """
import sys
from pathlib import Path
from ledger.entries import Entry
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from sqlalchemy import text

SPEND = text(
    "UPDATE coins SET spent = 1 WHERE name = (SELECT min(name) FROM coins WHERE spent = 0) RETURNING name"
)

def spend(tx):
    row = tx.one(SPEND)
    if row is not None:
        tx.append(Entry("execution.begun", "acme", {"coin": row.name}))
    return row and row.name

folder, origin = sys.argv[1:]
keys = KeyRing.load(Path(folder, "keys"))
with Ledger.open(f"sqlite:///{folder}/ledger.db", keys, origin=origin) as ledger:
    print("ready", flush=True)
    sys.stdin.readline()
    while (name := ledger.transact_now(spend)) is not None:
        print(name, flush=True)
"""


def start(code: str, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def finish(process: "subprocess.Popen[str]") -> list[str]:
    """The whole lines that a process still printed, once it has ended."""
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        return process.stdout.read().split("\n")[:-1]


@pytest.mark.parametrize("round_", range(3))
def test_entries_acknowledged_before_a_kill_are_all_there_and_the_log_is_whole(
    tmp_path: Path, path: Path, keys: KeyRing, round_: int
) -> None:
    processes = [start(APPENDING, str(tmp_path), name, ORIGIN) for name in ("one", "two")]
    acknowledged: list[int] = []
    for process in processes:
        assert process.stdout is not None
        acknowledged += [int(process.stdout.readline()) for _ in range(40 + round_)]
    for process in processes:
        process.send_signal(signal.SIGKILL)
    for process in processes:
        acknowledged += [int(line) for line in finish(process)]
    assert len(acknowledged) == len(set(acknowledged))
    with Ledger.open(f"sqlite:///{path}", keys, origin=ORIGIN) as ledger:
        assert set(acknowledged) <= {stored.seq for stored in ledger.entries()}
        report = ledger.verify()
        assert report.whole, report.fault
        assert ledger.append_now(Entry("call.answered", "acme", {})) == report.entries + 1


def test_case_40_coins_are_each_spent_once_by_many_processes(
    tmp_path: Path, path: Path, keys: KeyRing
) -> None:
    coins = [f"coin-{number:03}" for number in range(100)]
    with Ledger.open(f"sqlite:///{path}", keys, origin=ORIGIN) as ledger:
        ledger.transact_now(
            lambda tx: tx.connection.exec_driver_sql("CREATE TABLE coins (name TEXT, spent INT)")
        )
        ledger.transact_now(
            lambda tx: tx.connection.exec_driver_sql(
                "INSERT INTO coins VALUES (?, 0)", [(coin,) for coin in coins]
            )
        )
        processes = [start(SPENDING, str(tmp_path), ORIGIN) for _ in range(4)]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        spent = [name for process in processes for name in finish(process)]
        assert sorted(spent) == coins
        assert sorted(str(stored.body["coin"]) for stored in ledger.entries()) == coins
        assert ledger.verify().whole
