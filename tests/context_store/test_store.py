"""The file: who owns it, what the engine may do, and what happens when it is not ours."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from context_store.errors import StoreOwned, StoreUnavailable
from context_store.store import KnowledgeStore

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "knowledge.duckdb"


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('{other}')",
        "SELECT * FROM '{other}'",
        "COPY (SELECT 1) TO '{other}'",
        "ATTACH '{other}.duckdb' AS other",
        "INSTALL fts",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET threads = 4",
        "EXPORT DATABASE '{other}.d'",
    ],
)
def test_the_engine_is_locked_down(path: Path, statement: str) -> None:
    other = path.parent / "other.csv"
    other.write_text("secret")
    with KnowledgeStore.open(path) as store, pytest.raises(duckdb.Error), store.reading() as cursor:
        cursor.execute(statement.format(other=other))


def test_a_second_owner_is_told_which_process_has_the_store(path: Path) -> None:
    program = (
        "import sys\nfrom context_store.store import KnowledgeStore\n"
        "from context_store.errors import StoreOwned\n"
        "try: KnowledgeStore.open(sys.argv[1])\n"
        "except StoreOwned as error: print(error.pid, error)"
    )
    with KnowledgeStore.open(path) as store:
        said = subprocess.run(
            [sys.executable, "-c", program, str(path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        assert said.startswith(f"{os.getpid()} The knowledge store")
        assert "go through that one, or stop it" in said
        with pytest.raises(StoreOwned, match="already open in this process"):
            KnowledgeStore.open(store.path)
    KnowledgeStore.open(path).close()


def make_garbage(path: Path) -> None:
    path.write_bytes(b"hello" * 1000)


def make_nothing(path: Path) -> None:
    path.write_bytes(b"")


def make_a_folder(path: Path) -> None:
    path.mkdir()


def make_another_database(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t (a INTEGER)")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (make_garbage, "is not a knowledge store"),
        (make_nothing, "is not a knowledge store"),
        (make_a_folder, "cannot be opened"),
        (make_another_database, "not a knowledge store"),
    ],
)
def test_what_is_no_store_is_refused_with_one_sentence(
    path: Path, make: Callable[[Path], object], said: str
) -> None:
    make(path)
    with pytest.raises(StoreUnavailable, match=said) as refused:
        KnowledgeStore.open(path)
    assert "\n" not in str(refused.value)


def test_a_folder_that_is_missing_and_a_newer_schema_are_named(path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="There is no folder"):
        KnowledgeStore.open(path.parent / "none" / "k.duckdb")
    with KnowledgeStore.open(path) as store, store.writing() as cursor:
        cursor.execute("UPDATE store_info SET value = '99'")
    with pytest.raises(StoreUnavailable, match="has schema 99"):
        KnowledgeStore.open(path)


def test_a_write_that_raises_is_undone_and_reading_cannot_write(path: Path) -> None:
    with KnowledgeStore.open(path) as store:
        with pytest.raises(duckdb.ConstraintException), store.writing() as cursor:
            cursor.executemany(
                "INSERT INTO sources VALUES ('acme', 'a', 'carol', $origin)",
                [{"origin": "x"}, {"origin": "y"}],
            )
        with store.reading() as cursor:
            assert cursor.execute("SELECT count(*) FROM sources").fetchone() == (0,)
        with pytest.raises(duckdb.Error), store.reading() as cursor:
            cursor.execute("INSERT INTO sources VALUES ('acme', 'a', 'carol', 'x')")


def test_threads_read_beside_a_writer_and_see_whole_states(path: Path) -> None:
    counts: set[int] = set()

    def read(store: KnowledgeStore) -> None:
        for _ in range(30):
            with store.reading() as cursor:
                row = cursor.execute("SELECT count(*) FROM facts").fetchone()
                counts.add(row[0] if row else -1)

    with KnowledgeStore.open(path) as store:
        threads = [threading.Thread(target=read, args=(store,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(10):
            with store.writing() as cursor:
                for name in ("a", "b"):
                    cursor.execute("INSERT INTO facts VALUES (1, $name, '1', 0)", {"name": name})
        for thread in threads:
            thread.join()
    assert all(count % 2 == 0 for count in counts)


def test_a_closed_store_says_so(path: Path) -> None:
    store = KnowledgeStore.open(path)
    store.close()
    store.close()
    with pytest.raises(StoreUnavailable, match="is closed"), store.reading():
        pass
