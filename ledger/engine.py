"""Everything that differs between SQLite and PostgreSQL, and nothing else.

What the ledger asks of an engine: a write transaction that excludes every other writer from its first
statement, snapshot reads that can never write, commits that are on disk when they return, a clock, and a copy
of all of it while others write.
"""

import os
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Literal
from urllib.parse import quote

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError

from ledger.errors import LedgerError, LedgerUnavailable
from ledger.statements import as_sqlalchemy_says, driver_of, execute

BUSY_MS = 5_000
"""How long a writer waits for another process's transaction before it answers `unavailable`."""

_ROOM_BYTES = 4_194_304
"""The size that a write-ahead log reaches before SQLite begins it anew (1,000 pages, its default)."""

_RETRY_SECONDS = 0.005

_WRITE_PRAGMAS = (
    "synchronous=FULL",  # NORMAL may lose the last commits on power loss, but an effect needs its record
    "foreign_keys=ON",
    "recursive_triggers=ON",  # or INSERT OR REPLACE would delete rows without firing the append-only trigger
    "trusted_schema=OFF",
)
_READ_PRAGMAS = (*_WRITE_PRAGMAS, "query_only=ON")


class Database(ABC):
    """One database of either engine. Connections are plain SQLAlchemy ones; whoever opens one closes it."""

    now_ms: str
    """SQL expression: the database's clock in milliseconds since the epoch."""

    _writing: Engine
    _reading: Engine

    _begin_writing: str
    _begin_reading: str | None

    def connect_writing(self) -> Connection:
        """A connection for write transactions."""
        return self._writing.connect()

    def connect_reading(self) -> Connection:
        """A connection for snapshots, on which writing fails."""
        return self._reading.connect()

    @contextmanager
    def writing(self, connection: Connection) -> Generator[None]:
        """A write transaction: waits for every other writer, then excludes them, and commits at the end.

        It is begun and ended on the driver: through SQLAlchemy that takes longer than SQLite needs for it.
        """
        execute(connection, self._begin_writing)
        try:
            yield
        except BaseException:
            end(connection, "rollback")
            raise
        end(connection, "commit")

    def begin_reading(self, connection: Connection) -> None:
        """Begin a snapshot of what is committed now. Whoever begins it ends it, by `end`."""
        if self._begin_reading is not None:
            execute(connection, self._begin_reading)

    @contextmanager
    def reading(self, connection: Connection) -> Generator[None]:
        """A snapshot for the length of the block, for whoever does not mind its cost."""
        self.begin_reading(connection)
        try:
            yield
        finally:
            end(connection, "rollback")

    @contextmanager
    @abstractmethod
    def creating(self) -> Generator[Connection]:
        """A write transaction on a connection of its own that works before there are tables."""
        yield from ()

    def copy_to(self, path: Path) -> None:
        """Write one consistent state of the database to a new SQLite file, while others go on writing."""
        raise LedgerError("The ledger is in PostgreSQL; back it up with its own tools, such as pg_dump.")

    @abstractmethod
    def check_in_place(self) -> None:
        """Raise `LedgerUnavailable` if open connections no longer lead to the database of this name."""

    @abstractmethod
    def make_room(self) -> None:
        """Set aside the space that commits are written to, for a process that will commit often."""


def open_database(url: str) -> Database:
    """Open or create the database of a URL (`sqlite:///FILE` or `postgresql+psycopg://…`)."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise LedgerError(f"{url[:80]!r} is not a database URL; use sqlite:///FILE.") from error
    match parsed.get_backend_name():
        case "sqlite" if parsed.database and parsed.database != ":memory:" and not parsed.query:
            return Sqlite(Path(parsed.database))
        case "postgresql":
            return Postgres(parsed.render_as_string(hide_password=False))
        case name:
            raise LedgerError(f"A ledger cannot be kept in this {name} database; use sqlite:///FILE.")


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite ledger; None for another engine."""
    parsed = make_url(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


class Sqlite(Database):
    """A SQLite file in WAL mode; several processes may share it."""

    # julianday() is kept as whole milliseconds inside SQLite, so rounding restores them exactly.
    now_ms = "CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"
    _begin_writing = "BEGIN IMMEDIATE"
    _begin_reading = "BEGIN DEFERRED"

    def __init__(self, path: Path) -> None:
        """Create the file if there is none."""
        self._path = path.absolute()
        if not self._path.parent.is_dir():
            raise LedgerError(f"There is no folder {self._path.parent} to keep the ledger in; make it first.")
        try:
            with closing(self._connect("rwc")) as connection:
                _switch_to_wal(connection)
        except sqlite3.Error as error:
            raise LedgerUnavailable(f"The ledger {self._path} cannot be opened: {error}.") from error
        self._file = self._identity()
        self._writing = self._engine(_WRITE_PRAGMAS)
        self._reading = self._engine(_READ_PRAGMAS)

    @contextmanager
    def creating(self) -> Generator[Connection]:
        """The same as for writing."""
        with self.connect_writing() as connection, self.writing(connection):
            yield connection

    def copy_to(self, path: Path) -> None:
        """By SQLite's own online backup: all pages in one step, so no writer can make it begin again."""
        try:
            with closing(self._connect("ro")) as own, closing(sqlite3.connect(path)) as copy:
                own.backup(copy)
                # The copy is one file: it goes elsewhere without the others that WAL keeps beside it.
                copy.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.Error as error:
            raise LedgerUnavailable(f"The ledger cannot be copied to {path}: {error}.") from error

    def check_in_place(self) -> None:
        """SQLite goes on writing happily into a file that was deleted or replaced, so we look ourselves."""
        if self._identity() != self._file:
            raise LedgerUnavailable(f"The ledger {self._path} was moved or replaced; restart the server.")

    def make_room(self) -> None:
        """Let the write-ahead log grow to its full size at once: from then on commits overwrite it in place.

        While a file grows, each commit to disk waits for the file system's own journal too, behind whatever
        else the machine writes (measured: 130 µs in place; 280 µs growing alone, 400 to 8,000 beside others).
        The log never shrinks while the database is open, and the pages filled here are used again for data.
        """
        try:
            with closing(self._connect("rw")) as connection:
                # Whoever was killed in here before left the table, and all that it takes.
                connection.execute("DROP TABLE IF EXISTS room")
                if _size_of(f"{self._path}-wal") < _ROOM_BYTES:
                    connection.execute("BEGIN IMMEDIATE")
                    connection.execute("CREATE TABLE room (filling BLOB)")
                    connection.execute("INSERT INTO room VALUES (zeroblob(?))", (_ROOM_BYTES,))
                    connection.execute("COMMIT")
                    connection.execute("DROP TABLE room")
        except sqlite3.Error as error:
            raise unavailable(error) from error

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _connect(self, mode: str) -> sqlite3.Connection:
        # A URI, because only it can say "never create": a ledger that vanished must not come back empty.
        # isolation_level=None: sqlite3 starts no transactions of its own; our BEGIN below is the only one.
        return sqlite3.connect(
            f"file:{quote(str(self._path))}?mode={mode}",
            uri=True,
            timeout=BUSY_MS / 1000,
            isolation_level=None,
            check_same_thread=False,
        )

    def _engine(self, pragmas: tuple[str, ...]) -> Engine:
        engine = create_engine("sqlite://", creator=lambda: self._connect("rw"), poolclass=NullPool)

        def set_pragmas(connection: sqlite3.Connection, _record: object) -> None:
            for pragma in pragmas:
                connection.execute(f"PRAGMA {pragma}")

        event.listen(engine, "connect", set_pragmas)
        return engine


def _size_of(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Make the file a WAL one, for good. SQLite's own patience does not extend to this statement."""
    deadline = monotonic() + BUSY_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > deadline:
                raise
        sleep(_RETRY_SECONDS)


class Postgres(Database):
    """A PostgreSQL database that several servers share."""

    now_ms = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
    # LOCK takes no snapshot, so the transaction sees all that was committed before it got the lock: writers
    # queue here instead of failing to serialise at COMMIT. The driver itself begins at the first statement.
    _begin_writing = "LOCK TABLE heads IN EXCLUSIVE MODE"
    _begin_reading = None

    def __init__(self, url: str) -> None:
        """Prepare the engines; nothing connects yet."""
        waiting = {"options": f"-c lock_timeout={BUSY_MS}"}
        base = create_engine(url, poolclass=NullPool, connect_args=waiting)
        self._creating = base.execution_options()
        self._writing = base.execution_options(isolation_level="SERIALIZABLE")
        self._reading = base.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    @contextmanager
    def creating(self) -> Generator[Connection]:
        """Excludes others that create tables."""
        with self._creating.connect() as connection, connection.begin():
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7226181)")
            yield connection

    def make_room(self) -> None:
        """PostgreSQL keeps written-ahead segments of full size itself."""

    def check_in_place(self) -> None:
        """A connection to a server that is gone fails by itself."""


_SQLITE_FAILED = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)


def end(connection: Connection, how: Literal["commit", "rollback"]) -> None:
    """End a transaction that was begun on the driver."""
    if connection.in_transaction():
        # A statement went through SQLAlchemy, which then counts itself in a transaction, too.
        getattr(connection, how)()
        return
    try:
        getattr(driver_of(connection), how)()
    except connection.dialect.loaded_dbapi.Error as error:
        raise as_sqlalchemy_says(connection, error) from error


def is_unavailable(error: DBAPIError) -> bool:
    """Whether the database failed (locks, disk, file, connection), rather than the statement."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _SQLITE_FAILED  # the low byte of an extended code is its primary code
    return isinstance(error, OperationalError | InterfaceError)


def unavailable(error: BaseException) -> LedgerUnavailable:
    """What to tell callers when the database failed; the error itself stays its cause."""
    reason = error.orig if isinstance(error, DBAPIError) else error
    failure = LedgerUnavailable(
        f"The ledger cannot be used now ({reason}) and nothing was done; look at its disk and file."
    )
    failure.__cause__ = error
    return failure
