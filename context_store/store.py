"""The knowledge store's one file: who owns it, how it is locked down, and how threads read and write it.

DuckDB lets one process open a file. That process reads on a cursor for each operation and writes one
transaction at a time. The engine is locked down when it opens: no access to files or the network, no
extensions, no change of settings, and no text of a client ever becomes SQL. What is published, and what
exists at all, is decided by the ledger: rows of this file that the ledger does not know are dropped at
`recover`.
"""

import re
import threading
import time
import weakref
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

import duckdb

from context_store.cursor import Cursor
from context_store.errors import StoreError, StoreOwned, StoreUnavailable
from context_store.grants import ReadGrant
from context_store.meaning import Meaning
from context_store.migrations import SCHEMA_VERSION, migrate
from context_store.reach import Reaches, ReachKeeper
from context_store.tokens import ESTIMATE
from context_store.watch import Watch

QUERY_LIMIT_S: Final = 30.0
"""How long one reading may take, in seconds, unless its caller says otherwise; then it is stopped."""

_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "enable_external_access": False,
    # Measured: with as many readers as cores, one thread for each query gives the best throughput.
    "threads": 1,
}

_SCHEMA: Final = """
CREATE TABLE store_info (name VARCHAR PRIMARY KEY, value VARCHAR NOT NULL);
CREATE TABLE sources (
    tenant VARCHAR NOT NULL, source VARCHAR NOT NULL, owner VARCHAR NOT NULL, origin VARCHAR NOT NULL,
    PRIMARY KEY (tenant, source)
);
-- One immutable text. `key` is a number of this file only, and names the version in the index below.
CREATE TABLE versions (
    key INTEGER PRIMARY KEY, tenant VARCHAR NOT NULL, source VARCHAR NOT NULL, version INTEGER NOT NULL,
    title VARCHAR NOT NULL, text VARCHAR NOT NULL, text_digest VARCHAR NOT NULL,
    normalised_by VARCHAR NOT NULL, extracted_by VARCHAR NOT NULL, indexed_by VARCHAR NOT NULL,
    authority VARCHAR NOT NULL, labels VARCHAR[] NOT NULL, collection VARCHAR, facts VARCHAR NOT NULL,
    valid_from_ms BIGINT, valid_until_ms BIGINT, passages INTEGER NOT NULL, terms BIGINT NOT NULL,
    raw_digest VARCHAR NOT NULL,
    UNIQUE (tenant, source, version)
);
-- A version is part of the releases from `published_in` up to, not including, `withdrawn_in`.
CREATE TABLE published (
    key INTEGER PRIMARY KEY, tenant VARCHAR NOT NULL, source VARCHAR NOT NULL,
    published_in INTEGER NOT NULL, withdrawn_in INTEGER
);
-- Which grants cover a source, as of a release: the newest row up to the head holds, for old versions too.
CREATE TABLE source_access (
    tenant VARCHAR NOT NULL, source VARCHAR NOT NULL, since_release INTEGER NOT NULL,
    labels VARCHAR[] NOT NULL, collection VARCHAR NOT NULL,
    PRIMARY KEY (tenant, source, since_release)
);
CREATE TABLE passages (
    key INTEGER NOT NULL, ordinal INTEGER NOT NULL, span_start BIGINT NOT NULL, span_end BIGINT NOT NULL,
    section VARCHAR[] NOT NULL
);
-- The index: how often a term occurs in a passage, and how many terms the passage has.
CREATE TABLE postings (
    term BIGINT NOT NULL, key INTEGER NOT NULL, ordinal INTEGER NOT NULL, occurrences INTEGER NOT NULL,
    length INTEGER NOT NULL
);
-- For search by meaning: the vectors of all passages of a version, in their order, as little-endian floats.
CREATE TABLE vectors (
    key INTEGER NOT NULL, model VARCHAR NOT NULL, revision VARCHAR NOT NULL, dimension INTEGER NOT NULL,
    vectors BLOB NOT NULL
);
-- A declared fact, once for each passage that states its value; ordinal NULL: none does, word for word.
CREATE TABLE facts (key INTEGER NOT NULL, name VARCHAR NOT NULL, value VARCHAR NOT NULL, ordinal INTEGER);
-- By which texts that say nearly the same are found: see context_store.duplicates.
CREATE TABLE sketches (mark BIGINT NOT NULL, key INTEGER NOT NULL);
"""

# A failing disk or file; any other error of the engine is a bug of ours.
_FAILING = (duckdb.IOException, duckdb.OutOfMemoryException, duckdb.FatalException)

_AGAIN_S: Final = 0.02

_open_here: set[Path] = set()
_open_here_lock = threading.Lock()


class KnowledgeStore:
    """An open store. Close it, or another process cannot open the file; it is a context manager too.

    `curating` is held by operations that span this file and the ledger, so that two acts of curation never
    interleave. `reaches` is the index in memory and what grants reach in it; `counter`
    counts tokens, and `meaning` searches by meaning where that is in use: whoever opens the store sets them.
    """

    def __init__(self, path: Path, connection: Cursor) -> None:
        """Over a connection that `open` has locked down; use `KnowledgeStore.open`."""
        self.path = path
        self.curating = threading.RLock()
        self.reaches = ReachKeeper()
        self.counter = ESTIMATE
        self.meaning: Meaning | None = None
        self._connection = connection
        self._writing = threading.Lock()
        self._watch = Watch()
        # Also when nobody closes it: an engine that is still open when Python ends complains on stderr.
        self._release = weakref.finalize(self, _release, path, connection)

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open or create the store at `path`, whose folder must exist.

        Raises `StoreOwned` when another process has it open, and `StoreUnavailable` when it cannot be read.
        """
        place = Path(path).absolute()
        with _open_here_lock:
            # DuckDB would hand out a second connection to the same database: two owners in one process.
            if place in _open_here:
                raise StoreOwned(
                    f"The knowledge store {place} is already open in this process; use that one."
                )
            connection = _connect(place)
            _open_here.add(place)
        try:
            _prepare(connection, place)
        except BaseException:
            _release(place, connection)
            raise
        return cls(place, connection)

    @contextmanager
    def reading(self, limit_s: float | None = QUERY_LIMIT_S) -> Generator[Cursor]:
        """A cursor that sees one state of the file for as long as the block lasts.

        A query that still runs after `limit_s` seconds is stopped, and `StoreUnavailable` is raised; None
        sets no limit, for work that reads everything and that nobody waits for.
        """
        cursor = self._cursor()
        reader = None if limit_s is None else self._watch.enter(limit_s, cursor.interrupt)
        try:
            cursor.execute("BEGIN TRANSACTION READ ONLY")
            yield cursor
            cursor.execute("COMMIT")
        except duckdb.InterruptException as error:
            raise StoreUnavailable(
                f"Reading the knowledge store took longer than {limit_s:g} seconds and was stopped;"
                " ask for less."
            ) from error
        except _FAILING as error:
            raise _unusable(error) from error
        finally:
            if reader is not None:
                self._watch.leave(reader)
            cursor.close()

    def reach(self, grant: ReadGrant, head: int, now_ms: int, *, fresh: bool = False) -> Reaches:
        """What the grant reaches now: the versions in force that it covers, and those that were.

        With `fresh` its query is asked whatever is known: a candidate may change under its number.
        """
        return self.reaches.of(self.reading, grant, head, now_ms, fresh=fresh)

    @contextmanager
    def writing(self) -> Generator[Cursor]:
        """A cursor inside the only writing transaction: committed to disk when the block ends, undone when it
        raises.
        """
        with self._writing:
            cursor = self._cursor()
            try:
                cursor.execute("BEGIN TRANSACTION")
                yield cursor
                cursor.execute("COMMIT")
            except _FAILING as error:
                raise _unusable(error) from error
            finally:
                cursor.close()  # an open transaction ends with its cursor, undone

    @contextmanager
    def still(self) -> Generator[Path]:
        """Nobody writes for the length of the block, and all that was written stands in the file that it
        gives: it can be copied while others read.
        """
        with self._writing:
            self._checkpoint(time.monotonic() + 2 * QUERY_LIMIT_S)
            yield self.path

    def close(self) -> None:
        """Give the file free. Doing so twice is harmless."""
        self._release()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _checkpoint(self, deadline: float) -> None:
        """While a reader sees an older state of a row, that row cannot be written to its place: wait."""
        cursor = self._cursor()
        try:
            while True:
                try:
                    cursor.execute("CHECKPOINT")
                    return
                except duckdb.TransactionException:
                    if time.monotonic() > deadline:
                        raise
                time.sleep(_AGAIN_S)
        except (*_FAILING, duckdb.TransactionException) as error:
            raise _unusable(error) from error
        finally:
            cursor.close()

    def _cursor(self) -> Cursor:
        if not self._release.alive:
            raise StoreUnavailable(f"The knowledge store {self.path} is closed.")
        return self._connection.cursor()


def _connect(place: Path) -> Cursor:
    try:
        return duckdb.connect(str(place), config=_SETTINGS)
    except duckdb.IOException as error:
        raise _not_opened(place, str(error)) from error
    except duckdb.Error as error:
        raise StoreUnavailable(
            f"The knowledge store {place} cannot be opened: {_first_line(error)}"
        ) from error


def _not_opened(place: Path, message: str) -> StoreError:
    if "Could not set lock" in message:
        holder = re.search(r"\(PID (\d+)\)", message)
        pid = int(holder[1]) if holder else None
        whose = f"process {pid}" if pid else "another process"
        return StoreOwned(
            f"The knowledge store {place} is owned by {whose}; go through that one, or stop it.", pid
        )
    if "not a valid DuckDB database" in message:
        return StoreUnavailable(f"{place} is not a knowledge store; name another file, or restore a backup.")
    if not place.parent.is_dir():
        return StoreUnavailable(
            f"There is no folder {place.parent} to keep the knowledge store in; make it first."
        )
    return StoreUnavailable(f"The knowledge store {place} cannot be opened: {message.splitlines()[0]}")


def _prepare(connection: Cursor, place: Path) -> None:
    """Lock the configuration, and create the tables or check that they are ours."""
    connection.execute("SET lock_configuration = true")
    found = connection.execute("SELECT table_name FROM duckdb_tables() ORDER BY table_name").fetchall()
    if not found:
        connection.execute("BEGIN TRANSACTION")
        connection.execute(_SCHEMA)
        connection.execute(
            "INSERT INTO store_info VALUES ('schema', $version)", {"version": str(SCHEMA_VERSION)}
        )
        connection.execute("COMMIT")
        return
    if ("store_info",) not in found:
        raise StoreUnavailable(f"{place} is a database, but not a knowledge store; name another file.")
    migrate(connection, place)


def _release(place: Path, connection: Cursor) -> None:
    with _open_here_lock:
        connection.close()
        _open_here.discard(place)


def _unusable(error: duckdb.Error) -> StoreUnavailable:
    return StoreUnavailable(f"The knowledge store cannot be used now: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
