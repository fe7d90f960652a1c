"""What holds when processes die, files are of another age, and a query takes too long."""

import random
import shutil
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import duckdb
import pytest

from benchmarks.crashing import TOGETHER, Told, kill_the_program, look
from context_store.check import check_store
from context_store.errors import StoreUnavailable
from context_store.migrations import SCHEMA_VERSION, Step, migrate
from context_store.opening import open_knowledge
from context_store.store import KnowledgeStore
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from tests.context_store.library import TENANT, Library


def schema(connection: duckdb.DuckDBPyConnection) -> str:
    [value] = connection.execute("SELECT value FROM store_info WHERE name = 'schema'").fetchone() or [""]
    return str(value)


def running(statement: str) -> Step:
    def run(connection: duckdb.DuckDBPyConnection) -> object:
        return connection.execute(statement)

    return run


@pytest.fixture
def old(tmp_path: Path) -> duckdb.DuckDBPyConnection:
    """A file of a schema before the first released one."""
    connection = duckdb.connect(str(tmp_path / "old.duckdb"))
    connection.execute("CREATE TABLE store_info (name VARCHAR PRIMARY KEY, value VARCHAR)")
    connection.execute("INSERT INTO store_info VALUES ('schema', '1')")
    return connection


def test_an_older_file_is_brought_to_the_newest_schema_step_by_step(old: duckdb.DuckDBPyConnection) -> None:
    with old:
        steps = {1: running("CREATE TABLE a (n INTEGER)"), 2: running("INSERT INTO a VALUES (7)")}
        migrate(old, "k", to=3, steps=steps)
        assert (schema(old), old.execute("SELECT n FROM a").fetchall()) == ("3", [(7,)])
        migrate(old, "k", to=3, steps={})


def test_a_step_that_fails_leaves_the_file_as_it_was(old: duckdb.DuckDBPyConnection) -> None:
    with old:
        steps = {1: running("CREATE TABLE a (n INTEGER)"), 2: running("INSERT INTO none VALUES (7)")}
        with pytest.raises(StoreUnavailable, match="could not be brought from schema 1 to 3"):
            migrate(old, "k", to=3, steps=steps)
        assert schema(old) == "1"
        assert old.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'a'").fetchone() == (0,)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ("3", "has schema 3 and this version reads up to 2; use the version that wrote it"),
        ("new", "has schema unknown"),
        ("1", "has schema 1, which this version no longer reads; open it once with a version in between"),
    ],
)
def test_a_file_that_no_step_leads_from_is_refused(
    old: duckdb.DuckDBPyConnection, found: str, said: str
) -> None:
    with old:
        old.execute("UPDATE store_info SET value = $found", {"found": found})
        with pytest.raises(StoreUnavailable, match=said):
            migrate(old, "k", to=2, steps={})


def test_a_store_says_which_schema_it_has(tmp_path: Path) -> None:
    with KnowledgeStore.open(tmp_path / "k.duckdb") as store, store.reading() as cursor:
        assert schema(cursor) == str(SCHEMA_VERSION)


def test_a_query_that_takes_too_long_is_stopped_and_the_next_one_is_answered(library: Library) -> None:
    endless = "SELECT count(*) FROM range(100000000) a, range(100000) b WHERE a.range * b.range % 7 = 3"
    began = time.monotonic()
    with (
        pytest.raises(StoreUnavailable, match=r"took longer than 0\.2 seconds"),
        library.store.reading(limit_s=0.2) as cursor,
    ):
        cursor.execute(endless).fetchall()
    assert time.monotonic() - began < 30
    with library.store.reading(limit_s=0.2) as cursor:
        assert cursor.execute("SELECT 1").fetchone() == (1,)


def test_a_copy_that_is_taken_while_nobody_writes_is_whole(library: Library, tmp_path: Path) -> None:
    library.add("Refunds are paid within 30 days.")
    copy = tmp_path / "copy"
    copy.mkdir()
    with library.store.reading() as reader:
        reader.execute("SELECT count(*) FROM versions").fetchall()
        with library.store.curating, library.store.still() as file:
            shutil.copyfile(file, copy / "knowledge.duckdb")
            library.ledger.copy_to(copy / "ledger.db")
    library.add("Refunds are paid within 45 days.")
    keys = KeyRing.load(library.folder / "keys")
    with (
        Ledger.open(f"sqlite:///{copy / 'ledger.db'}", keys, origin="bailiwick.test/library") as ledger,
        open_knowledge(copy / "knowledge.duckdb", ledger) as store,
    ):
        report = check_store(store, ledger)
        assert (report.whole, report.versions) == (True, 1)
        assert ledger.verify().whole
    assert {path.name for path in copy.iterdir()} == {"knowledge.duckdb", "ledger.db"}


def test_a_copy_waits_for_a_reader_of_an_older_state_and_holds_what_was_written_since(
    library: Library, tmp_path: Path
) -> None:
    library.add("Refunds are paid within 30 days.")
    library.close()
    library.reopen()  # a file that was there before: opening it must leave nothing open
    reading = ExitStack()
    reader = reading.enter_context(library.store.reading())
    assert reader.execute("SELECT count(*) FROM published").fetchone() == (1,)
    library.add("Refunds are paid within 45 days.")
    threading.Timer(0.2, reading.close).start()
    with library.store.curating, library.store.still() as file:
        shutil.copyfile(file, tmp_path / "copy.duckdb")
    with KnowledgeStore.open(tmp_path / "copy.duckdb") as copy, copy.reading() as cursor:
        rows = cursor.execute("SELECT published_in, withdrawn_in FROM published ORDER BY key").fetchall()
    assert rows == [(1, 2), (2, None)]


@pytest.mark.slow
def test_case_79_a_process_killed_at_any_moment_of_importing_and_publishing_leaves_a_whole_store(
    library: Library,
) -> None:
    library.close()
    chance, told = random.Random(79), Told()
    for _ in range(4):
        kill_the_program(library.folder, told, chance)
        damage = look(
            f"sqlite:///{library.folder / 'ledger.db'}",
            library.folder / "keys",
            library.folder / "knowledge.duckdb",
            "bailiwick.test/library",
            TENANT,
            told,
        )
        assert (damage.lost, damage.torn, damage.doubled) == ([], [], [])
    library.reopen()
    assert told.published
    assert library.head() * TOGETHER >= len(told.published)
