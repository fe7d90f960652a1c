"""The ledger as the floors above use it: append, transact, read, list, head, verify.

For example:

    ledger = Ledger.open("sqlite:///data/ledger.db", KeyRing.load(Path("data/keys")), origin="bailiwick/4f1c")
    await ledger.append(Entry("call.refused", tenant, {"code": "unknown_tool"}))
    outcome = await ledger.transact(lambda tx: redeem(tx, request))
    run = ledger.read(lambda reading: find_run(reading, run_id))
"""

import asyncio
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, inspect, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ledger.audit import verify_stored
from ledger.clock import Clock
from ledger.engine import Database, end, is_unavailable, open_database, unavailable
from ledger.entries import Entry, StoredEntry, decode
from ledger.errors import LedgerDamaged, LedgerError, LedgerUnavailable
from ledger.export import export_log
from ledger.heads import SignedHead, check_origin
from ledger.keyring import KeyRing
from ledger.log_end import LogEnd, Seal, read_end, refuse_other_history
from ledger.tables import log, metadata
from ledger.transaction import Reading, Transaction
from ledger.verify import LogReport
from ledger.writer import Answer, Job, Writer

T = TypeVar("T")

_PAGE = 500


class Ledger:
    """One open ledger, for any thread and event loop; several processes may open the same database."""

    def __init__(
        self, database: Database, seal: Seal, end: LogEnd, clock: Clock | None, *, deferred: bool
    ) -> None:
        """Use `Ledger.open`."""
        self._defer = deferred
        self._database = database
        self._seal = seal
        self._writer = Writer(database, seal, end, clock)
        # Reading connections that nobody uses now; as many exist as reads ever ran at once.
        self._idle: deque[Connection] = deque()
        self._closed = False

    @classmethod
    def open(
        cls, url: str, keys: KeyRing, *, origin: str, clock: Clock | None = None, deferred: bool = False
    ) -> "Ledger":
        """Open the ledger at a database URL, creating tables that are missing.

        `origin` names this log in its heads. `clock` replaces the database's clock, for tests. `deferred`:
        what is given to `record` is not waited for. Raises
        `LedgerDamaged` if the newest head is not signed by `keys` for this origin, `LedgerUnavailable` if
        the database cannot be used, `LedgerError` if it is not a ledger of this version.
        """
        seal = Seal(check_origin(origin), keys)
        try:
            database = open_database(url)
            with database.creating() as connection:
                metadata.create_all(connection)
                _refuse_other_columns(connection)
                end = read_end(connection, seal)
        except SQLAlchemyError as error:
            raise unavailable(error) from error
        return cls(database, seal, end, clock, deferred=deferred)

    async def append(self, *entries: Entry) -> int:
        """Add entries to the log, together; durable when it returns the last one's number.

        To cancel the caller does not undo this: it then happens without being waited for.
        """
        return await self._wait(_appending(entries), may_fail=False)

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` inside a ledger transaction, in the writer's thread; durable when its result comes back.

        `work` must be quick and wait for nothing but the database: all writers wait for it. If it raises,
        what it did is undone and the exception comes out here.
        """
        return await self._wait(work, may_fail=True)

    async def record(self, *entries: Entry, store: Callable[[Transaction], object] | None = None) -> None:
        """Write down what was read or refused: entries, and what `store` keeps in the same transaction.

        Durable when it returns, unless the ledger was opened with `deferred`. Then it is on its way: at most
        `DEFER_S` until its group is committed. Never use it for what an effect rests on.
        """
        work = _appending(entries) if store is None else _storing(store, entries)
        may_fail = store is not None
        if not (self._defer and self._writer.defer(work, may_fail=may_fail)):
            await self._wait(work, may_fail=may_fail)

    @property
    def defers(self) -> bool:
        """Whether what is given to `record` is not waited for."""
        return self._defer

    async def settled(self) -> None:
        """Return when every deferred record of this process is committed; at once if there is none."""
        if self._writer.deferring:
            await self._wait(lambda _: None, may_fail=True)

    def append_now(self, *entries: Entry) -> int:
        """`append`, blocking the calling thread: for the command line and tests."""
        return self._block(_appending(entries), may_fail=False)

    def transact_now(self, work: Callable[[Transaction], T]) -> T:
        """`transact`, blocking the calling thread: for the command line and tests."""
        return self._block(work, may_fail=True)

    def read(self, work: Callable[[Reading], T]) -> T:
        """Run `work` here and now on a snapshot of the newest committed state.

        Cheap enough to call from an event loop as long as `work` reads a few rows.
        """
        with self._snapshot() as reading:
            return work(reading)

    def entries(
        self, after: int = 0, run: str | None = None, kinds: Iterable[str] | None = None
    ) -> Iterator[StoredEntry]:
        """The entries behind number `after`, in order; only of one run, or of some kinds, where given.

        Reads page by page, so a long listing holds nothing open and sees what is appended meanwhile.
        `LedgerDamaged` at an entry that cannot be read.
        """
        query = select(log.c.seq, log.c.entry).order_by(log.c.seq).limit(_PAGE)
        if run is not None:
            query = query.where(log.c.run == run)
        if kinds is not None:
            query = query.where(log.c.kind.in_(list(kinds)))
        while True:
            page = query.where(log.c.seq > after)
            rows = self.read(lambda reading, page=page: reading.all(page))
            for row in rows:
                yield _decoded(row.seq, row.entry)
            if len(rows) < _PAGE:
                return
            after = rows[-1].seq

    def head(self) -> SignedHead | None:
        """The newest signed head; None while the log is empty. `LedgerDamaged` if it is not to be trusted."""
        return self.read(lambda reading: read_end(reading.connection, self._seal)).head

    def verify(self, witnessed: Iterable[str] = ()) -> LogReport:
        """Check the whole log and the tables beside it, also against heads (notes) kept by a witness."""
        keys = self._seal.keys.public_keys("head")
        with self._as_it_is() as reading:
            return verify_stored(reading, keys, origin=self.origin, witnessed=witnessed)

    def export(self) -> Iterator[str]:
        """The lines of an export of the whole log (see `ledger.export`), from one snapshot."""
        keys = self._seal.keys.public_keys("head")
        with self._as_it_is() as reading:
            yield from export_log(reading, keys, origin=self.origin)

    def copy_to(self, path: Path) -> None:
        """Write one consistent state of the ledger to a new file, while others go on writing."""
        self._database.check_in_place()
        self._database.copy_to(path)

    @property
    def origin(self) -> str:
        """The name of this log in its heads."""
        return self._seal.origin

    def make_room(self) -> None:
        """Prepare for many commits: some ten milliseconds, worth it to a process that serves."""
        self.read(lambda _reading: None)  # its connection stays open, and with it what is prepared here
        self._database.make_room()

    def close(self) -> None:
        """Settle what is queued, then let go of the database. Closing twice does nothing."""
        self._writer.close()
        self._closed = True
        self._close_idle()

    def __enter__(self) -> "Ledger":
        """For `with`: closes at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    async def _wait(self, work: Callable[[Transaction], T], *, may_fail: bool) -> T:
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._submit(work, answer, may_fail=may_fail)
        return await answer

    def _block(self, work: Callable[[Transaction], T], *, may_fail: bool) -> T:
        self._writer.refuse_own_thread()
        answer: Future[T] = Future()
        self._submit(work, answer, may_fail=may_fail)
        return answer.result()

    def _submit(self, work: Callable[[Transaction], object], answer: Answer, *, may_fail: bool) -> None:
        self._writer.submit(Job(work, answer, may_fail))

    @contextmanager
    def _snapshot(self) -> Generator[Reading]:
        if self._closed:
            raise LedgerUnavailable("The ledger is closed; open it again.")
        connection: Connection | None = None
        try:
            self._database.check_in_place()
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._connect_reading()
            self._database.begin_reading(connection)
            try:
                yield Reading(connection)
            finally:
                end(connection, "rollback")
        except DBAPIError as error:
            if is_unavailable(error):
                self._close_idle()  # they may lead to a database that is no longer there
                raise unavailable(error) from error
            raise
        finally:
            if connection is not None:
                self._idle.append(connection)
            if self._closed:
                self._close_idle()

    @contextmanager
    def _as_it_is(self) -> Generator[Reading]:
        """A snapshot that is given also when the log is not what this process saw before: to find out why."""
        with self._database.connect_reading() as connection, self._database.reading(connection):
            yield Reading(connection)

    def _connect_reading(self) -> Connection:
        """A new connection, which may lead to another server than before, or to a copy that fell behind."""
        known = self._writer.end
        connection = self._database.connect_reading()
        try:
            with self._database.reading(connection):
                refuse_other_history(connection, known)
        except BaseException:
            connection.close()
            raise
        return connection

    def _close_idle(self) -> None:
        while self._idle:
            with suppress(SQLAlchemyError):
                self._idle.pop().close()


def _appending(entries: tuple[Entry, ...]) -> Callable[[Transaction], int]:
    if not entries:
        raise ValueError("There is nothing to append; give at least one entry.")
    return lambda tx: [tx.append(entry) for entry in entries][-1]


def _storing(
    store: Callable[[Transaction], object], entries: tuple[Entry, ...]
) -> Callable[[Transaction], None]:
    def work(tx: Transaction) -> None:
        store(tx)
        for entry in entries:
            tx.append(entry)

    return work


def _decoded(seq: int, raw: bytes) -> StoredEntry:
    try:
        return decode(raw)
    except ValueError as error:
        raise LedgerDamaged(f"Entry {seq} of the log cannot be read; run `audit verify`.") from error


def _refuse_other_columns(connection: Connection) -> None:
    inspector = inspect(connection)
    for table in metadata.sorted_tables:
        stored = {column["name"] for column in inspector.get_columns(table.name)}
        if stored != set(table.columns.keys()):
            raise LedgerError(
                f"The table {table.name} is of another version of Bailiwick; use that one, or a new folder."
            )
